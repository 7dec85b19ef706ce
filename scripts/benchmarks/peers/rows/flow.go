package main

import (
	"sync"
	"time"
)

// dataflow is range, map, filter, map and sum, a goroutine each.
func dataflow(n, floor int) float64 {
	start := time.Now()
	grown := stage(count(n), func(v int) int { return v*2 + 1 })
	kept := make(chan int, 100)
	go func() {
		for v := range grown {
			if v > floor {
				kept <- v
			}
		}
		close(kept)
	}()
	sum := 0
	for v := range stage(kept, func(v int) int { return v - 3 }) {
		sum += v
	}
	if sum <= 0 {
		panic("no sum")
	}
	return each(start, n)
}

type record struct {
	id, value int
	name      string
}

// fanOutRecords hands records to two workers and collects new ones.
func fanOutRecords(n, _ int) float64 {
	start := time.Now()
	in, out := make(chan record, 100), make(chan record, 100)
	go func() {
		for i := 1; i <= n; i++ {
			in <- record{i, i % 100, "record"}
		}
		close(in)
	}()
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() {
			for r := range in {
				out <- record{r.id, r.value + 1, r.name}
			}
		})
	}
	go func() {
		group.Wait()
		close(out)
	}()
	sum := 0
	for r := range out {
		sum += r.value
	}
	if sum < n {
		panic("too small a sum")
	}
	return each(start, n)
}

// collatz is the number of steps from v to 1.
func collatz(v int) int {
	steps := 0
	for v != 1 {
		if v%2 == 0 {
			v /= 2
		} else {
			v = 3*v + 1
		}
		steps++
	}
	return steps
}

// cpuMap is how much faster two goroutines are than one.
func cpuMap(n, _ int) float64 {
	took := func(workers int) time.Duration {
		start := time.Now()
		var group sync.WaitGroup
		sums := make([]int, workers)
		for w := range workers {
			group.Go(func() {
				sum := 0
				for i := w + 1; i <= n; i += workers {
					sum += collatz(i)
				}
				sums[w] = sum
			})
		}
		group.Wait()
		return time.Since(start)
	}
	one := took(1)
	return float64(one) / float64(took(2))
}
