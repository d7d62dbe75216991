package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/memberlist"
)

// span is a duration that is written as seconds.
type span time.Duration

func (s span) Duration() time.Duration { return time.Duration(s) }

// MarshalJSON is json.Marshaler's.
func (s span) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(s).Seconds()) }

// UnmarshalJSON is json.Unmarshaler's.
func (s *span) UnmarshalJSON(text []byte) error {
	var seconds float64
	err := json.Unmarshal(text, &seconds)
	*s = span(seconds * float64(time.Second))
	return err
}

func (s span) String() string { return time.Duration(s).String() }

// Set is flag.Value's.
func (s *span) Set(text string) error {
	duration, err := time.ParseDuration(text)
	if err == nil && duration < 0 {
		err = fmt.Errorf("%s is below zero", text)
	}
	*s = span(duration)
	return err
}

// share is a part of all, said as 20% or 0.2.
type share float64

func (s share) String() string { return fmt.Sprintf("%g%%", float64(s)*100) }

// Set is flag.Value's.
func (s *share) Set(text string) error {
	number, percent := strings.CutSuffix(text, "%")
	value, err := strconv.ParseFloat(number, 64)
	if percent {
		value /= 100
	}
	if err == nil && (value < 0 || value > 0.95) {
		err = fmt.Errorf("%s is not between 0%% and 95%%", text)
	}
	*s = share(value)
	return err
}

// options are the flags. Those of the protocol leave the preset's value where they are zero.
type options struct {
	Members       int     `json:"members"`
	Seed          int64   `json:"seed"`
	Runs          int     `json:"runs"`
	Duration      span    `json:"duration_s"`
	WarmUp        span    `json:"warm_up_s"`
	Loss          share   `json:"loss"`
	RTT           span    `json:"rtt_s"`
	Sigma         float64 `json:"rtt_sigma"`
	Slow          int     `json:"slow"`
	Blocked       span    `json:"blocked_s"`
	Open          span    `json:"open_s"`
	Cut           int     `json:"cut"`
	CutAfter      span    `json:"cut_after_s"`
	CutFor        span    `json:"cut_for_s"`
	Crashes       int     `json:"crashes"`
	Events        float64 `json:"events_per_second"`
	EventBytes    int     `json:"event_bytes"`
	Preset        string  `json:"preset"`
	ProbeInterval span    `json:"probe_interval_s,omitempty"`
	ProbeTimeout  span    `json:"probe_timeout_s,omitempty"`
	GossipEvery   span    `json:"gossip_interval_s,omitempty"`
	GossipNodes   int     `json:"gossip_nodes,omitempty"`
	Suspicion     int     `json:"suspicion_mult,omitempty"`
	Retransmit    int     `json:"retransmit_mult,omitempty"`
	Compression   bool    `json:"compression"`

	Progress  bool `json:"-"`
	WallLimit span `json:"-"`
}

func parseOptions(arguments []string) (*options, error) {
	o := options{Duration: span(time.Minute), WarmUp: span(5 * time.Second), RTT: span(time.Millisecond),
		Blocked: span(5 * time.Second), Open: span(time.Second), CutFor: span(10 * time.Second)}
	flags := flag.NewFlagSet("memberlist-virtual", flag.ContinueOnError)
	flags.IntVar(&o.Members, "members", 50, "members, 2 to 2000, who all know each other before anything is measured")
	flags.Int64Var(&o.Seed, "seed", 1, "seed of the first run")
	flags.IntVar(&o.Runs, "runs", 1, "runs, with seeds that follow each other")
	flags.Var(&o.Duration, "duration", "measured time, in virtual time")
	flags.Var(&o.WarmUp, "warm-up", "time on the lossy network before it")
	flags.Var(&o.Loss, "loss", "share of all datagrams that is lost: 20%")
	flags.Var(&o.RTT, "rtt", "median round trip")
	flags.Float64Var(&o.Sigma, "rtt-sigma", 0, "standard deviation of its logarithm")
	flags.IntVar(&o.Slow, "slow", 0, "members that are slow again and again: what they send and receive waits, their timers run on")
	flags.Var(&o.Blocked, "blocked", "for how long it waits")
	flags.Var(&o.Open, "open", "for how long it does not, in between")
	flags.IntVar(&o.Cut, "cut", 0, "members that are cut off from the others for a while, together")
	flags.Var(&o.CutAfter, "cut-after", "from the beginning of the measured time")
	flags.Var(&o.CutFor, "cut-for", "for how long")
	flags.IntVar(&o.Crashes, "crashes", 0, "members that vanish in the first two thirds of the measured time")
	flags.Float64Var(&o.Events, "events", 0, "user events, per second in the whole pool, in the first two thirds")
	flags.IntVar(&o.EventBytes, "event-bytes", 32, "payload of an event, 4 to 512")
	flags.StringVar(&o.Preset, "preset", "lan", "lan, wan or local")
	flags.Var(&o.ProbeInterval, "probe-interval", "overrides the preset's")
	flags.Var(&o.ProbeTimeout, "probe-timeout", "overrides the preset's")
	flags.Var(&o.GossipEvery, "gossip-interval", "overrides the preset's")
	flags.IntVar(&o.GossipNodes, "gossip-nodes", 0, "overrides the preset's")
	flags.IntVar(&o.Suspicion, "suspicion-mult", 0, "overrides the preset's")
	flags.IntVar(&o.Retransmit, "retransmit-mult", 0, "overrides the preset's")
	flags.BoolVar(&o.Compression, "compression", false, "compress what is sent, as memberlist does unless told otherwise")
	flags.BoolVar(&o.Progress, "progress", false, "say on standard error what each run gave")
	flags.Var(&o.WallLimit, "wall-limit", "begin no further run after so much real time")
	if err := flags.Parse(arguments); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	return &o, o.check()
}

func (o *options) check() error {
	switch {
	case o.Members < 2 || o.Members > 2000:
		return fmt.Errorf("--members is 2 to 2000, not %d", o.Members)
	case o.Runs < 1 || o.Runs > 100_000:
		return fmt.Errorf("--runs is 1 to 100000, not %d", o.Runs)
	case o.Duration < span(time.Second) || o.Duration > span(24*time.Hour):
		return fmt.Errorf("--duration is 1s to 24h, not %s", o.Duration)
	case o.WarmUp > span(time.Hour):
		return fmt.Errorf("--warm-up is at most 1h, not %s", o.WarmUp)
	case o.RTT < span(2*time.Microsecond) || o.RTT > span(20*time.Second):
		return fmt.Errorf("--rtt is 2us to 20s, not %s", o.RTT)
	case o.Sigma < 0 || o.Sigma > 2:
		return fmt.Errorf("--rtt-sigma is 0 to 2, not %g", o.Sigma)
	case o.Slow < 0 || o.Crashes < 0 || o.Slow+o.Crashes >= o.Members:
		return fmt.Errorf("--slow and --crashes have to leave a member of %d that is well", o.Members)
	case o.Slow > 0 && (o.Blocked < span(time.Millisecond) || o.Open < span(time.Millisecond)):
		return fmt.Errorf("--blocked and --open are 1ms or more")
	case o.Cut < 0 || o.Cut > o.Members:
		return fmt.Errorf("--cut is 0 to %d, not %d", o.Members, o.Cut)
	case o.Events < 0 || o.Events > 1000:
		return fmt.Errorf("--events is 0 to 1000 a second, not %g", o.Events)
	case o.EventBytes < 4 || o.EventBytes > 512:
		return fmt.Errorf("--event-bytes is 4 to 512, not %d", o.EventBytes)
	case o.Preset != "lan" && o.Preset != "wan" && o.Preset != "local":
		return fmt.Errorf("--preset is lan, wan or local, not %q", o.Preset)
	}
	return nil
}

// configuration is memberlist's, from the preset and what overrides it.
func (o *options) configuration() *memberlist.Config {
	var c *memberlist.Config
	switch o.Preset {
	case "wan":
		c = memberlist.DefaultWANConfig()
	case "local":
		c = memberlist.DefaultLocalConfig()
	default:
		c = memberlist.DefaultLANConfig()
	}
	c.EnableCompression = o.Compression
	override(&c.ProbeInterval, o.ProbeInterval.Duration())
	override(&c.ProbeTimeout, o.ProbeTimeout.Duration())
	override(&c.GossipInterval, o.GossipEvery.Duration())
	override(&c.GossipNodes, o.GossipNodes)
	override(&c.SuspicionMult, o.Suspicion)
	override(&c.RetransmitMult, o.Retransmit)
	return c
}

func override[T comparable](setting *T, value T) {
	var none T
	if value != none {
		*setting = value
	}
}
