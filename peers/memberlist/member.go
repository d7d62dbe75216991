package main

import (
	"fmt"
	"log"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/memberlist"
)

// Contents of user messages that one member remembers, so that it passes each on once.
const messagesSeenMax = 8_192

// member is one place in the pool: a name and an address, and the instance that now lives there, if any.
type member struct {
	pool    *pool
	index   int
	name    string
	lock    sync.Mutex
	address netip.Addr
	current *instance
	// keyring outlives its instances, as one in a file would.
	keyring *memberlist.Keyring
}

// instance is one life of a member: what memberlist calls back.
type instance struct {
	member *member
	list   *memberlist.Memberlist
	queue  memberlist.TransmitLimitedQueue
	alive  atomic.Int64
	meta   atomic.Pointer[[]byte]
	gone   atomic.Bool

	seenLock  sync.Mutex
	seen      map[uint64]struct{}
	seenOrder []uint64
	seenNext  int
}

// begin creates a new instance under the member's name.
func (m *member) begin(meta string) error {
	m.lock.Lock()
	defer m.lock.Unlock()
	if m.current != nil {
		return fmt.Errorf("%s is running", m.name)
	}
	options := m.pool.options
	c := options.configuration()
	c.Name = m.name
	c.BindAddr = m.address.String()
	c.BindPort = options.port
	c.AdvertisePort = options.port
	i := &instance{member: m, seen: make(map[uint64]struct{})}
	i.setMeta(meta)
	i.queue.NumNodes = func() int { return int(i.alive.Load()) }
	i.queue.RetransmitMult = c.RetransmitMult
	c.Delegate, c.Events, c.Conflict = i, i, i
	c.Logger = log.New(&logWriter{m.pool, m.index, logLevels[options.logLevel]}, m.name+": ", log.LstdFlags)
	if len(options.keys) > 0 && m.keyring == nil {
		keyring, err := memberlist.NewKeyring(options.keys, options.keys[0])
		if err != nil {
			return err
		}
		m.keyring = keyring
	}
	c.Keyring = m.keyring
	list, err := memberlist.Create(c)
	if err != nil {
		return fmt.Errorf("%s at %s: %w", m.name, m.address, err)
	}
	i.list = list
	m.current = i
	return nil
}

// ring is the member's keyring, if it has one.
func (m *member) ring() *memberlist.Keyring {
	m.lock.Lock()
	defer m.lock.Unlock()
	return m.keyring
}

// running is the member's instance, if it lives.
func (m *member) running() (*instance, error) {
	m.lock.Lock()
	defer m.lock.Unlock()
	if m.current == nil {
		return nil, fmt.Errorf("%s is not running", m.name)
	}
	return m.current, nil
}

// end shuts the instance down, after a leave if asked for. A leave whose broadcast does not finish is an
// errUnfinished, and the instance is shut down all the same.
func (m *member) end(leave bool) error {
	m.lock.Lock()
	i := m.current
	m.current = nil
	m.lock.Unlock()
	if i == nil {
		return fmt.Errorf("%s is not running", m.name)
	}
	var err error
	if leave {
		err = m.finished(i.list.Leave(broadcastTimeout))
	}
	i.gone.Store(true)
	if stopped := i.list.Shutdown(); err == nil {
		err = stopped
	}
	return err
}

// errUnfinished names a member of which memberlist could not say in time that its news was sent. It happens to
// members that are well: memberlist's queue can lose what it holds without finishing it (hashicorp/memberlist#322).
type errUnfinished string

func (e errUnfinished) Error() string { return string(e) + ": the broadcast did not finish" }

// finished turns memberlist's word for an unfinished broadcast, which has no type, into ours.
func (m *member) finished(err error) error {
	if err != nil && strings.Contains(err.Error(), "timeout waiting for") {
		return errUnfinished(m.name)
	}
	return err
}

func (i *instance) setMeta(meta string) {
	bytes := []byte(meta)
	i.meta.Store(&bytes)
}

// spread queues a user message for gossip, as if this member had just learned of it.
func (i *instance) spread(message []byte) {
	i.queue.QueueBroadcast(broadcast(message))
}

// learn says whether a message is new to this member, and remembers it.
func (i *instance) learn(hash uint64) bool {
	i.seenLock.Lock()
	defer i.seenLock.Unlock()
	if _, known := i.seen[hash]; known {
		return false
	}
	i.seen[hash] = struct{}{}
	if len(i.seenOrder) < messagesSeenMax {
		i.seenOrder = append(i.seenOrder, hash)
		return true
	}
	delete(i.seen, i.seenOrder[i.seenNext])
	i.seenOrder[i.seenNext] = hash
	i.seenNext = (i.seenNext + 1) % messagesSeenMax
	return true
}

// NodeMeta is memberlist.Delegate's.
func (i *instance) NodeMeta(limit int) []byte {
	meta := *i.meta.Load()
	return meta[:min(len(meta), limit)]
}

// NotifyMsg is memberlist.Delegate's: a user message came; the buffer is only lent.
func (i *instance) NotifyMsg(message []byte) {
	hash := i.member.pool.hash(message)
	if i.gone.Load() || !i.learn(hash) {
		return
	}
	owned := append([]byte(nil), message...)
	i.spread(owned)
	i.member.pool.heard(i.member, owned)
}

// GetBroadcasts is memberlist.Delegate's.
func (i *instance) GetBroadcasts(overhead, limit int) [][]byte {
	return i.queue.GetBroadcasts(overhead, limit)
}

// LocalState is memberlist.Delegate's; no state beyond the membership is exchanged.
func (i *instance) LocalState(bool) []byte { return nil }

// MergeRemoteState is memberlist.Delegate's.
func (i *instance) MergeRemoteState([]byte, bool) {}

// NotifyJoin is memberlist.EventDelegate's.
func (i *instance) NotifyJoin(node *memberlist.Node) {
	i.alive.Add(1)
	i.report("join", node)
}

// NotifyLeave is memberlist.EventDelegate's, for those who left and those declared dead.
func (i *instance) NotifyLeave(node *memberlist.Node) {
	i.alive.Add(-1)
	i.report("leave", node)
}

// NotifyUpdate is memberlist.EventDelegate's.
func (i *instance) NotifyUpdate(node *memberlist.Node) { i.report("update", node) }

// NotifyConflict is memberlist.ConflictDelegate's.
func (i *instance) NotifyConflict(existing, other *memberlist.Node) {
	pool := i.member.pool
	pool.totals.conflict.Add(1)
	if !pool.options.quietEvents {
		pool.output.event(line{"event": "conflict", "at": i.member.index, "member": i.member.name, "node": existing.Name,
			"address": existing.Address(), "other": other.Address(), "time_us": nowMicros()})
	}
}

func (i *instance) report(kind string, node *memberlist.Node) {
	if !i.gone.Load() {
		i.member.pool.membership(i.member, kind, stateOf(node))
	}
}

// broadcast is a user message in the queue. Contents differ, so that none replaces another.
type broadcast []byte

// Invalidates is memberlist.Broadcast's.
func (b broadcast) Invalidates(memberlist.Broadcast) bool { return false }

// Message is memberlist.Broadcast's.
func (b broadcast) Message() []byte { return b }

// Finished is memberlist.Broadcast's.
func (b broadcast) Finished() {}

// UniqueBroadcast marks that no comparison with others is needed.
func (b broadcast) UniqueBroadcast() {}
