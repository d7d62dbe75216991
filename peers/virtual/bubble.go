package main

// A bubble is where Go's testing/synctest makes time virtual: it passes when every goroutine in it waits for time or
// for another of them. Bubbles belong to tests, so all that this program does is one:
// testing.Main, which is exported for such programs, runs it, and the flags stay this program's own.

import (
	"flag"
	"math/rand"
	"os"
	"runtime/debug"
	"testing"
	"testing/synctest"
	"time"
)

// asTest runs body as the one test of this program, and ends the program if it fails.
func asTest(body func(t *testing.T)) {
	testing.Init()
	// One thread: goroutines that are ready at one moment then run in an order that hardly varies, and a machine is
	// filled by running several processes with seeds of their own.
	if err := flag.CommandLine.Parse([]string{"-test.cpu=1"}); err != nil {
		panic(err)
	}
	// What the testing package has to say is not part of the result.
	os.Stdout = os.Stderr
	everything := func(string, string) (bool, error) { return true, nil }
	testing.Main(everything, []testing.InternalTest{{Name: "virtual", F: body}}, nil, nil)
}

// inBubble is one run, with a seed of its own.
func inBubble(t *testing.T, o *options, seed int64, sink *suspicionSink) (result *run, err error) {
	// memberlist's own choices. It has no source of its own to be given.
	rand.Seed(seed) //nolint:staticcheck // see go.mod
	began := time.Now()
	synctest.Test(t, func(*testing.T) { result, err = live(o, seed, sink) })
	if err != nil {
		return nil, err
	}
	result.WallSeconds = time.Since(began).Seconds()
	return result, nil
}

// memberlistVersion is what was built in.
func memberlistVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, module := range info.Deps {
		if module.Path == "github.com/hashicorp/memberlist" {
			return module.Version
		}
	}
	return "unknown"
}
