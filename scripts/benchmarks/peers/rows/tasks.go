package main

import (
	"context"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

// startJoin starts 1,000 goroutines and waits for them, n times in all.
func startJoin(n, _ int) float64 {
	start := time.Now()
	for range n / 1000 {
		var group sync.WaitGroup
		group.Add(1000)
		for range 1000 {
			go func() { group.Done() }()
		}
		group.Wait()
	}
	return each(start, n)
}

// ring passes a number n times around goroutines.
func ring(n, size int) float64 {
	first := make(chan int)
	over := make(chan bool)
	in := first
	for i := range size {
		out := make(chan int)
		if i == size-1 {
			out = first
		}
		go func(in <-chan int, out chan<- int) {
			for v := range in {
				if v == 0 {
					over <- true
					return
				}
				out <- v - 1
			}
		}(in, out)
		in = out
	}
	start := time.Now()
	first <- n
	<-over
	return each(start, n)
}

// resident is the memory of this process in bytes.
func resident() int {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		panic(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(text))[1])
	if err != nil {
		panic(err)
	}
	return pages * os.Getpagesize()
}

// blockedMemory is bytes a goroutine that waits for a channel.
func blockedMemory(n, _ int) float64 {
	ch := make(chan int)
	runtime.GC()
	before := resident()
	for range n {
		go func() { <-ch }()
	}
	for runtime.NumGoroutine() < n { // they exist; let all of them park
		runtime.Gosched()
	}
	time.Sleep(200 * time.Millisecond)
	return float64(resident()-before) / float64(n)
}

// cancelChildren makes contexts below one and cancels that one, n in all.
func cancelChildren(n, size int) float64 {
	children := make([]context.Context, size)
	stops := make([]context.CancelFunc, size)
	start := time.Now()
	for range n / size {
		parent, cancel := context.WithCancel(context.Background())
		for i := range children {
			children[i], stops[i] = context.WithCancel(parent)
		}
		cancel()
		for _, child := range children {
			if child.Err() == nil {
				panic("a child was not canceled")
			}
		}
	}
	return each(start, n/size*size)
}

// timeout makes and cancels contexts with a timeout.
func timeout(n, _ int) float64 {
	parent := context.Background()
	start := time.Now()
	for range n {
		_, cancel := context.WithTimeout(parent, time.Hour)
		cancel()
	}
	return each(start, n)
}

// sleepers starts n goroutines that sleep for a millisecond.
func sleepers(n, _ int) float64 {
	start := time.Now()
	var group sync.WaitGroup
	for range n {
		group.Go(func() { time.Sleep(time.Millisecond) })
	}
	group.Wait()
	return each(start, n)
}
