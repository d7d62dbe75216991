// memberlist-peer runs members of hashicorp/memberlist, one or many in a process, each at its own loopback
// address, under the command of another program: a command is a line of JSON on standard input, what members
// see and what commands answer are lines of JSON on standard output, logs go to standard error. The process ends
// with its standard input, so that it never outlives whoever started it.
//
// `memberlist-peer bench` measures what memberlist spends on handling one datagram or one push/pull.
package main

import (
	"fmt"
	"os"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "bench" {
		if err := runBench(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "memberlist-peer bench:", err)
			os.Exit(1)
		}
		return
	}
	options, err := parseOptions(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "memberlist-peer:", err)
		os.Exit(2)
	}
	if err := checkInside(); err != nil {
		fmt.Fprintln(os.Stderr, "memberlist-peer:", err)
		os.Exit(1)
	}
	pool := newPool(options, newOutput(os.Stdout))
	go pool.start()
	pool.serve(os.Stdin)
	pool.output.flush()
}
