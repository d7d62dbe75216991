package main

// What memberlist spends on what it receives, in processor time of the whole process: its packet loop, its queue and
// worker, decryption, decompression and the garbage that all this leaves behind. There are no sockets and no timers:
// one instance with a full table is fed as its transport would feed it, at a pace at which it drops nothing. Nothing
// that is fed during the measurement changes the table; at the end the same with higher incarnations is fed once,
// and must have changed all of it.

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Members in the push/pull that is measured.
const pushPullMembers = 10_000

type benchOptions struct {
	cases   string
	members []int
	measure time.Duration
	warmUp  time.Duration
	meta    int
	crc     bool
	known   int
}

func parseBenchOptions(arguments []string) (*benchOptions, error) {
	var o benchOptions
	var members string
	flags := flag.NewFlagSet("memberlist-peer bench", flag.ContinueOnError)
	flags.StringVar(&o.cases, "cases", "", "only cases whose name contains this, such as handle/plain or pushpull")
	flags.StringVar(&members, "members", "100,1000,10000,50000", "sizes of the table for handle/...")
	flags.DurationVar(&o.measure, "measure", 2*time.Second, "processor time to measure for, per case")
	flags.DurationVar(&o.warmUp, "warm-up", time.Second, "processor time to spend before, per case")
	flags.IntVar(&o.meta, "meta-bytes", 16, "metadata of each member")
	flags.BoolVar(&o.crc, "crc", true, "checksums in datagrams, as memberlist's own gossip has them")
	flags.IntVar(&o.known, "known", 0, "measure only what it costs to know this many members, without metadata")
	if err := flags.Parse(arguments); err != nil {
		return nil, err
	}
	if o.known < 0 || o.known > 1_000_000 {
		return nil, fmt.Errorf("-known wants a number up to 1000000, not %d", o.known)
	}
	for text := range strings.SplitSeq(members, ",") {
		number, err := strconv.Atoi(text)
		if err != nil || number < updatesPerDatagram || number > 1_000_000 {
			return nil, fmt.Errorf("--members wants numbers from %d to 1000000, not %q", updatesPerDatagram, text)
		}
		o.members = append(o.members, number)
	}
	return &o, nil
}

// measurement is what a case prints: nanoseconds of processor time for one datagram or one exchange.
type measurement struct {
	Case       string  `json:"case"`
	Ns         float64 `json:"ns"`
	Iterations int     `json:"iterations"`
	Bytes      int     `json:"bytes"`
	Processors int     `json:"processors"`
}

func runBench(arguments []string) error {
	o, err := parseBenchOptions(arguments)
	if err != nil {
		return err
	}
	if err := checkInside(); err != nil {
		return err
	}
	if o.known > 0 {
		return runKnown(o)
	}
	for _, form := range []form{plain, compressed, encrypted} {
		for _, members := range o.members {
			name := fmt.Sprintf("handle/%s/%d", form, members)
			if err := o.run(name, func() (*subject, error) { return newDatagrams(o, form, members) }); err != nil {
				return err
			}
		}
	}
	for _, form := range []form{plain, compressed, encrypted} {
		name := fmt.Sprintf("pushpull/%s/%d", form, pushPullMembers)
		if err := o.run(name, func() (*subject, error) { return newPushPull(o, form, pushPullMembers) }); err != nil {
			return err
		}
	}
	return nil
}

// run measures one case and prints it, if it is wanted.
func (o *benchOptions) run(name string, prepare func() (*subject, error)) error {
	if !strings.Contains(name, o.cases) {
		return nil
	}
	s, err := prepare()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	defer s.fed.end()
	runtime.GC()
	if _, _, err := s.spend(o.warmUp); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	iterations, spent, err := s.spend(o.measure)
	if err == nil {
		err = s.verify()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return json.NewEncoder(os.Stdout).Encode(measurement{name, float64(spent.Nanoseconds()) / float64(iterations),
		iterations, s.bytes, runtime.GOMAXPROCS(0)})
}

// subject is a fed instance and one round of feeding it.
type subject struct {
	fed *fed
	// round feeds a number of datagrams or exchanges, waits until they are handled, and gives the number.
	round func() (int, error)
	// change feeds news of every member, at incarnation 2.
	change func() error
	bytes  int
}

// spend goes round until that much processor time is spent.
func (s *subject) spend(limit time.Duration) (iterations int, spent time.Duration, err error) {
	began, err := processTime()
	for err == nil && spent < limit {
		var count int
		if count, err = s.round(); err != nil {
			break
		}
		iterations += count
		var now time.Duration
		now, err = processTime()
		spent = now - began
	}
	return iterations, spent, err
}

func processTime() (time.Duration, error) {
	user, system, err := processCPU()
	return time.Duration((user + system) * float64(time.Second)), err
}

// verify makes sure that nothing was dropped or refused, and that what was fed is what memberlist understands.
func (s *subject) verify() error {
	before := s.fed.incarnations()
	if before[1] != s.fed.members || len(before) != 1 {
		return fmt.Errorf("the table changed while nothing should: members by incarnation %v", before)
	}
	if err := s.change(); err != nil {
		return err
	}
	after := s.fed.incarnations()
	if after[2] != s.fed.members || len(after) != 1 {
		return fmt.Errorf("not all was taken in: members by incarnation %v", after)
	}
	return s.fed.complaint()
}
