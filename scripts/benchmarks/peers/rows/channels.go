package main

import (
	"context"
	"sync"
	"time"
)

// oneToOne sends n numbers through one channel.
func oneToOne(n, capacity int) float64 {
	ch := make(chan int, capacity)
	start := time.Now()
	go func() {
		for i := 1; i <= n; i++ {
			ch <- i
		}
		close(ch)
	}()
	sum := 0
	for v := range ch {
		sum += v
	}
	check(sum, n*(n+1)/2)
	return each(start, n)
}

// stage passes on f of each number.
func stage(in <-chan int, f func(int) int) <-chan int {
	out := make(chan int, 100)
	go func() {
		for v := range in {
			out <- f(v)
		}
		close(out)
	}()
	return out
}

func count(n int) <-chan int {
	out := make(chan int, 100)
	go func() {
		for i := 1; i <= n; i++ {
			out <- i
		}
		close(out)
	}()
	return out
}

// pipeline is a source and three stages, the last of which sums.
func pipeline(n, _ int) float64 {
	start := time.Now()
	doubled := stage(count(n), func(v int) int { return v * 2 })
	sum := 0
	for v := range stage(doubled, func(v int) int { return v + 1 }) {
		sum += v
	}
	check(sum, n*(n+1)+n)
	return each(start, n)
}

// fanOut hands numbers to workers and collects their results.
func fanOut(n, workers int) float64 {
	start := time.Now()
	in, out := count(n), make(chan int, 100)
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for v := range in {
				out <- v + 1
			}
		})
	}
	go func() {
		group.Wait()
		close(out)
	}()
	sum := 0
	for v := range out {
		sum += v
	}
	check(sum, n*(n+1)/2+n)
	return each(start, n)
}

// threeTasks is a pipeline over an unbuffered and a buffered channel.
func threeTasks(n, _ int) float64 {
	first, second := make(chan int), make(chan int, 4)
	start := time.Now()
	go func() {
		for i := 1; i <= n; i++ {
			first <- i
		}
		close(first)
	}()
	go func() {
		for v := range first {
			second <- v + 1
		}
		close(second)
	}()
	sum := 0
	for v := range second {
		sum += v
	}
	check(sum, n*(n+1)/2+n)
	return each(start, n)
}

// selectReady chooses between two channels of which one holds a value.
func selectReady(n, _ int) float64 {
	a, b := make(chan int, 1), make(chan int, 1)
	start := time.Now()
	sum := 0
	for i := 1; i <= n; i++ {
		a <- i
		select {
		case v := <-a:
			sum += v
		case v := <-b:
			sum -= v
		}
	}
	check(sum, n*(n+1)/2)
	return each(start, n)
}

// selectContext receives n numbers, ready to stop at any of them.
func selectContext(n, capacity int) float64 {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ch := make(chan int, capacity)
	start := time.Now()
	go func() {
		for i := 1; i <= n; i++ {
			ch <- i
		}
	}()
	sum := 0
	for range n {
		select {
		case v := <-ch:
			sum += v
		case <-ctx.Done():
			return 0
		}
	}
	check(sum, n*(n+1)/2)
	return each(start, n)
}
