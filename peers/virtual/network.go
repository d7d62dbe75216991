package main

// The network between the members of one run: who reaches whom, how late, and what is lost. It has the rules of the
// simulator's trials (engine/src/sim/trial), so that what differs between the two is the protocol alone.

import (
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

const (
	// What a slow member's receive buffer holds, in datagrams; more are dropped.
	inboxMax = 256
	// Datagrams that wait for a member that runs. It takes them at once, in no virtual time.
	packetsMax = 1 << 16
	// Linux's first retransmission timeouts of a handshake and of an open connection, and how often a packet is sent
	// again before it no longer matters.
	handshakeResend = time.Second
	streamResend    = 200 * time.Millisecond
	resendsMax      = 6
	// No datagram takes longer: a log-normal has no end.
	latencyMax = time.Minute
)

// network is shared by all members of a run.
type network struct {
	options   *options
	measuring *measuring
	lock      sync.Mutex
	random    *rand.Rand
	byAddress map[string]*member
	lossy     bool
	// When the measured time began; zero before.
	origin time.Time
}

// chance says whether something with that probability happens. The lock is held.
func (n *network) chance(probability float64) bool {
	return probability > 0 && n.random.Float64() < probability
}

// latency is how long a datagram takes one way. The lock is held.
func (n *network) latency() time.Duration {
	median := n.options.RTT.Duration() / 2
	if n.options.Sigma == 0 {
		return median
	}
	drawn := float64(median) * math.Exp(n.options.Sigma*n.random.NormFloat64())
	return min(max(time.Duration(drawn), time.Microsecond), latencyMax)
}

// loses says whether what goes from one member to another now is lost. The lock is held.
func (n *network) loses(from, to *member) bool {
	return n.lossy && n.chance(float64(n.options.Loss)) || n.parted(from, to)
}

// parted says whether the two are on different sides of a cut.
func (n *network) parted(from, to *member) bool {
	if n.options.Cut == 0 || n.origin.IsZero() || from.cut == to.cut {
		return false
	}
	since := time.Since(n.origin) - n.options.CutAfter.Duration()
	return since >= 0 && since < n.options.CutFor.Duration()
}

// heldFor is how much longer all that a member sends and receives waits.
func (n *network) heldFor(m *member) time.Duration {
	if !m.slow || n.origin.IsZero() {
		return 0
	}
	blocked := n.options.Blocked.Duration()
	phase := time.Since(n.origin) % (blocked + n.options.Open.Duration())
	return max(blocked-phase, 0)
}

// wait lets whoever uses a stream of a slow member wait until that runs again.
func (n *network) wait(m *member) {
	if held := n.heldFor(m); held > 0 {
		time.Sleep(held)
	}
}

// send puts a datagram on its way.
func (n *network) send(from *member, bytes []byte, address string) (time.Time, error) {
	now := time.Now()
	if from.gone.Load() {
		return now, nil
	}
	n.measuring.datagram(now, len(bytes))
	n.lock.Lock()
	to := n.byAddress[address]
	lost := to == nil || n.loses(from, to)
	latency := n.latency()
	n.lock.Unlock()
	if !lost {
		packet := &memberlist.Packet{Buf: bytes, From: from.addr}
		time.AfterFunc(n.heldFor(from)+latency, func() { n.arrive(to, packet) })
	}
	return now, nil
}

// arrive hands a datagram to its receiver, or keeps it until the receiver runs again.
func (n *network) arrive(to *member, packet *memberlist.Packet) {
	held := n.heldFor(to)
	if held == 0 {
		to.take(packet)
		return
	}
	to.lock.Lock()
	defer to.lock.Unlock()
	if len(to.inbox) == 0 {
		time.AfterFunc(held, to.readInbox)
	}
	if len(to.inbox) < inboxMax {
		to.inbox = append(to.inbox, packet)
	}
}

// take lets the member's listener have a datagram.
func (m *member) take(packet *memberlist.Packet) {
	if m.gone.Load() {
		return
	}
	packet.Timestamp = time.Now()
	select {
	case m.packets <- packet:
	default:
		m.overflowed.Add(1)
	}
}

func (m *member) readInbox() {
	m.lock.Lock()
	inbox := m.inbox
	m.inbox = nil
	m.lock.Unlock()
	for _, packet := range inbox {
		m.take(packet)
	}
}

// crossing is how long a packet of a stream takes, resent as TCP does; false if it never gets through.
func (n *network) crossing(from, to *member, resend time.Duration) (time.Duration, bool) {
	n.lock.Lock()
	defer n.lock.Unlock()
	if n.parted(from, to) {
		return 0, false
	}
	took := n.latency()
	for range resendsMax {
		if !n.loses(from, to) {
			return took, true
		}
		took += resend
		resend *= 2
	}
	return 0, false
}
