// Command rows is Go's side of scripts/bench: `rows JOB N [ARG]` does the job
// N times (or with N items) and prints nanoseconds an item, or what the job
// says. The Lua programs in ../../ours do the same, in the same shape.
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

var jobs = map[string]func(n, arg int) float64{
	"one_to_one":      oneToOne,
	"pipeline":        pipeline,
	"fan_out":         fanOut,
	"start_join":      startJoin,
	"ring":            ring,
	"three_tasks":     threeTasks,
	"blocked_memory":  blockedMemory,
	"select_ready":    selectReady,
	"select_context":  selectContext,
	"cancel_children": cancelChildren,
	"timeout":         timeout,
	"sleepers":        sleepers,
	"dataflow":        dataflow,
	"fan_out_records": fanOutRecords,
	"cpu_map":         cpuMap,
}

// each is the time since start by item, in nanoseconds.
func each(start time.Time, n int) float64 {
	return float64(time.Since(start).Nanoseconds()) / float64(n)
}

func check(got, want int) {
	if got != want {
		panic(fmt.Sprintf("got %d, want %d", got, want))
	}
}

func main() {
	number := func(i int) int {
		if i >= len(os.Args) {
			return 0
		}
		n, err := strconv.Atoi(os.Args[i])
		if err != nil {
			panic(err)
		}
		return n
	}
	if len(os.Args) < 3 || jobs[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: rows JOB N [ARG]")
		os.Exit(2)
	}
	fmt.Println(jobs[os.Args[1]](number(2), number(3)))
}
