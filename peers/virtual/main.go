// memberlist-virtual runs hashicorp/memberlist, as it was published, in virtual time: whole pools in one process, on
// a network in memory that delays, loses and cuts off, among members some of which are slow. It is what
// the simulator's behaviour `upstream` is measured against. What a run gave is written as JSON;
// `memberlist-virtual compare` runs both and puts them side by side.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "compare" {
		err := compare(os.Args[2:])
		if err != nil && !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "memberlist-virtual compare:", err)
			os.Exit(1)
		}
		return
	}
	o, err := parseOptions(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "memberlist-virtual:", err)
		os.Exit(2)
	}
	out := os.Stdout
	asTest(func(t *testing.T) {
		if err := runAll(t, o, out); err != nil {
			t.Fatal(err)
		}
	})
}

// report is what is written.
type report struct {
	Memberlist string  `json:"memberlist"`
	Go         string  `json:"go"`
	Options    options `json:"options"`
	Summary    summary `json:"summary"`
	Runs       []run   `json:"runs"`
}

func runAll(t *testing.T, o *options, out io.Writer) error {
	if err := checkInside(); err != nil {
		return err
	}
	// Messages are short-lived and many; a run needs some 100 MB.
	debug.SetGCPercent(400)
	sink := countSuspicions()
	began := time.Now()
	whole := report{Memberlist: memberlistVersion(), Go: runtime.Version(), Options: *o}
	for number := range o.Runs {
		if o.WallLimit > 0 && number > 0 && time.Since(began) > o.WallLimit.Duration() {
			fmt.Fprintf(os.Stderr, "memberlist-virtual: ended after %d of %d runs: --wall-limit\n", number, o.Runs)
			break
		}
		one, err := inBubble(t, o, o.Seed+int64(number), sink)
		if err != nil {
			return fmt.Errorf("seed %d: %w", o.Seed+int64(number), err)
		}
		if o.Progress {
			fmt.Fprintf(os.Stderr, "seed %d: %d false deaths of %d, %d suspicions, %.1f s\n",
				one.Seed, one.FalseDeaths, one.FalseDeathSubjects, one.Suspicions, one.WallSeconds)
		}
		whole.Runs = append(whole.Runs, *one)
	}
	whole.Summary = summarise(whole.Runs)
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", " ")
	return encoder.Encode(whole)
}
