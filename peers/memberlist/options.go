package main

import (
	"encoding/base64"
	"flag"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/hashicorp/memberlist"
)

// options are the flags of the peer; each zero override leaves the preset's own value.
type options struct {
	firstAddress  netip.Addr
	port          int
	members       int
	namePrefix    string
	join          []string
	joinFirstOnly bool
	preset        string
	label         string
	keys          [][]byte
	meta          string
	quietEvents   bool
	logLevel      string

	compression    bool
	verifyIncoming bool
	verifyOutgoing bool

	probeInterval    time.Duration
	probeTimeout     time.Duration
	gossipInterval   time.Duration
	pushPullInterval time.Duration
	suspicionMult    int
	retransmitMult   int
	reclaimTime      time.Duration
}

// keyList collects the values of a flag that may be given more than once.
type keyList [][]byte

func (k *keyList) String() string { return fmt.Sprintf("%d keys", len(*k)) }

func (k *keyList) Set(text string) error {
	key, err := decodeKey(text)
	if err != nil {
		return err
	}
	*k = append(*k, key)
	return nil
}

func decodeKey(text string) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("a key is 16, 24 or 32 bytes in base64: %w", err)
	}
	if err := memberlist.ValidateKey(key); err != nil {
		return nil, fmt.Errorf("a key is 16, 24 or 32 bytes in base64, this one has %d", len(key))
	}
	return key, nil
}

func parseOptions(arguments []string) (*options, error) {
	var o options
	var keys keyList
	var first, join string
	flags := flag.NewFlagSet("memberlist-peer", flag.ContinueOnError)
	flags.StringVar(&first, "first-address", "127.20.0.1", "IPv4 address of the first member; the others follow it one by one")
	flags.IntVar(&o.port, "port", 7946, "port of every member, UDP and TCP")
	flags.IntVar(&o.members, "members", 1, "how many members")
	flags.StringVar(&o.namePrefix, "name-prefix", "go", "members are called PREFIX-0, PREFIX-1, ...")
	flags.StringVar(&join, "join", "", "host:port[,host:port] that each member joins in turn; without it they join the first member")
	flags.BoolVar(&o.joinFirstOnly, "join-first-only", false, "only the first member joins --join, the others join the first")
	flags.StringVar(&o.preset, "preset", "lan", "lan, wan or local")
	flags.StringVar(&o.label, "label", "", "cluster label")
	flags.Var(&keys, "key", "gossip key in base64; the first is the primary, repeat for more")
	flags.StringVar(&o.meta, "meta", "", "metadata of every member, at most 512 bytes")
	flags.BoolVar(&o.quietEvents, "quiet-events", false, "count events instead of printing each")
	flags.StringVar(&o.logLevel, "log-level", "warn", "least level to print on standard error: debug, info, warn, err or none")
	flags.BoolVar(&o.compression, "compression", true, "compress what is sent")
	flags.BoolVar(&o.verifyIncoming, "verify-incoming", true, "refuse plaintext when there is a key")
	flags.BoolVar(&o.verifyOutgoing, "verify-outgoing", true, "encrypt when there is a key")
	flags.DurationVar(&o.probeInterval, "probe-interval", 0, "overrides the preset")
	flags.DurationVar(&o.probeTimeout, "probe-timeout", 0, "overrides the preset")
	flags.DurationVar(&o.gossipInterval, "gossip-interval", 0, "overrides the preset")
	flags.DurationVar(&o.pushPullInterval, "push-pull-interval", 0, "overrides the preset")
	flags.IntVar(&o.suspicionMult, "suspicion-mult", 0, "overrides the preset")
	flags.IntVar(&o.retransmitMult, "retransmit-mult", 0, "overrides the preset")
	flags.DurationVar(&o.reclaimTime, "dead-node-reclaim-time", 0, "when a dead member's name may come back at another address; 0 is never")
	if err := flags.Parse(arguments); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	address, err := netip.ParseAddr(first)
	if err != nil || !address.Is4() {
		return nil, fmt.Errorf("--first-address wants an IPv4 address such as 127.20.0.1, not %q", first)
	}
	o.firstAddress = address
	o.keys = keys
	if join != "" {
		o.join = strings.Split(join, ",")
	}
	return &o, o.check()
}

func (o *options) check() error {
	if o.members < 1 || o.members > 65_000 {
		return fmt.Errorf("--members is 1 to 65000, not %d", o.members)
	}
	if len(o.meta) > memberlist.MetaMaxSize {
		return fmt.Errorf("--meta is at most %d bytes", memberlist.MetaMaxSize)
	}
	if _, known := logLevels[o.logLevel]; !known {
		return fmt.Errorf("--log-level is debug, info, warn, err or none, not %q", o.logLevel)
	}
	if o.preset != "lan" && o.preset != "wan" && o.preset != "local" {
		return fmt.Errorf("--preset is lan, wan or local, not %q", o.preset)
	}
	return nil
}

// address is where the member of an index listens.
func (o *options) address(index int) netip.Addr {
	four := o.firstAddress.As4()
	number := uint32(four[0])<<24 | uint32(four[1])<<16 | uint32(four[2])<<8 | uint32(four[3])
	number += uint32(index)
	return netip.AddrFrom4([4]byte{byte(number >> 24), byte(number >> 16), byte(number >> 8), byte(number)})
}

// configuration is memberlist's, from the preset and the overrides.
func (o *options) configuration() *memberlist.Config {
	var c *memberlist.Config
	switch o.preset {
	case "wan":
		c = memberlist.DefaultWANConfig()
	case "local":
		c = memberlist.DefaultLocalConfig()
	default:
		c = memberlist.DefaultLANConfig()
	}
	c.Label = o.label
	c.EnableCompression = o.compression
	c.GossipVerifyIncoming = o.verifyIncoming
	c.GossipVerifyOutgoing = o.verifyOutgoing
	c.DeadNodeReclaimTime = o.reclaimTime
	override(&c.ProbeInterval, o.probeInterval)
	override(&c.ProbeTimeout, o.probeTimeout)
	override(&c.GossipInterval, o.gossipInterval)
	override(&c.PushPullInterval, o.pushPullInterval)
	override(&c.SuspicionMult, o.suspicionMult)
	override(&c.RetransmitMult, o.retransmitMult)
	return c
}

func override[T comparable](setting *T, value T) {
	var none T
	if value != none {
		*setting = value
	}
}
