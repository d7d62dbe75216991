package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"net"
	"reflect"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/hashicorp/go-metrics"
	"github.com/hashicorp/memberlist"
)

const port = 7946

// member is one member of a run: what memberlist calls back, and where the network leaves things for it.
type member struct {
	number    int
	name      string
	ip        net.IP
	addr      net.Addr
	slow, cut bool
	victim    bool
	measuring *measuring
	list      *memberlist.Memberlist
	packets   chan *memberlist.Packet
	streams   chan net.Conn
	gone      atomic.Bool
	// What did not fit into its channels; more than none spoils a run.
	overflowed atomic.Int64

	lock  sync.Mutex
	inbox []*memberlist.Packet

	events memberlist.TransmitLimitedQueue
	heard  map[uint32]bool
}

func newMember(number int, m *measuring) *member {
	ip := net.IPv4(10, byte(number>>16), byte(number>>8), byte(number)).To4()
	return &member{
		number: number, name: fmt.Sprintf("m%d", number), ip: ip, addr: &net.UDPAddr{IP: ip, Port: port}, measuring: m,
		packets: make(chan *memberlist.Packet, packetsMax), streams: make(chan net.Conn, 4096), heard: map[uint32]bool{},
	}
}

// begin lets the member live.
func (m *member) begin(o *options, n *network) error {
	c := o.configuration()
	c.Name = m.name
	c.BindAddr, c.BindPort, c.AdvertisePort = m.ip.String(), port, port
	c.Transport = &transport{n, m}
	c.Logger = log.New(io.Discard, "", 0)
	c.MetricLabels = []metrics.Label{{Name: "member", Value: strconv.Itoa(m.number)}}
	c.Delegate, c.Events = m, m
	m.events.RetransmitMult = c.RetransmitMult
	m.events.NumNodes = func() int { return o.Members }
	list, err := memberlist.Create(c)
	m.list = list
	return err
}

// crash lets the member vanish without a word.
func (m *member) crash() {
	m.gone.Store(true)
	_ = m.list.Shutdown()
}

// say tells an event to everyone.
func (m *member) say(number uint32, bytes int) {
	m.heard[number] = true
	// As Swimring's events look inside memberlist's user messages: origin, sequence, the length of the name.
	message := append([]byte("SWR\x01"), make([]byte, 8)...)
	message = binary.LittleEndian.AppendUint32(message, number)
	message = append(append(message, byte(len("event"))), "event"...)
	payload := make([]byte, bytes)
	binary.LittleEndian.PutUint32(payload, number)
	m.events.QueueBroadcast(broadcast(append(message, payload...)))
}

// NodeMeta is memberlist.Delegate's.
func (m *member) NodeMeta(int) []byte { return nil }

// NotifyMsg is memberlist.Delegate's: an event came. One that is new is told on, as Serf does.
func (m *member) NotifyMsg(message []byte) {
	number := binary.LittleEndian.Uint32(message[12:])
	if m.gone.Load() || m.heard[number] {
		return
	}
	m.heard[number] = true
	m.measuring.delivered(time.Now(), m, int(number))
	m.events.QueueBroadcast(broadcast(append([]byte(nil), message...)))
}

// GetBroadcasts is memberlist.Delegate's.
func (m *member) GetBroadcasts(overhead, limit int) [][]byte {
	return m.events.GetBroadcasts(overhead, limit)
}

// LocalState is memberlist.Delegate's.
func (m *member) LocalState(bool) []byte { return nil }

// MergeRemoteState is memberlist.Delegate's.
func (m *member) MergeRemoteState([]byte, bool) {}

// NotifyJoin is memberlist.EventDelegate's.
func (m *member) NotifyJoin(*memberlist.Node) {}

// NotifyUpdate is memberlist.EventDelegate's.
func (m *member) NotifyUpdate(*memberlist.Node) {}

// NotifyLeave is memberlist.EventDelegate's. Nobody leaves here: someone is held dead.
func (m *member) NotifyLeave(node *memberlist.Node) {
	subject, err := strconv.Atoi(node.Name[1:])
	if err == nil && !m.gone.Load() {
		m.measuring.failed(time.Now(), m, subject, incarnationOf(node))
	}
}

// broadcast is an event in the queue. None replaces another.
type broadcast []byte

// Invalidates is memberlist.Broadcast's.
func (b broadcast) Invalidates(memberlist.Broadcast) bool { return false }

// Message is memberlist.Broadcast's.
func (b broadcast) Message() []byte { return b }

// Finished is memberlist.Broadcast's.
func (b broadcast) Finished() {}

// UniqueBroadcast marks that no comparison with others is needed.
func (b broadcast) UniqueBroadcast() {}

// nodeState begins as memberlist's type of that name does. Delegates are handed its first field.
type nodeState struct {
	memberlist.Node
	Incarnation uint32
}

// incarnationOf is the incarnation of a node that memberlist hands to a delegate.
func incarnationOf(node *memberlist.Node) uint32 {
	return (*nodeState)(unsafe.Pointer(node)).Incarnation
}

// checkInside says whether nodeState lies in memory as it does in the memberlist that was built in.
func checkInside() error {
	nodes, ok := reflect.TypeFor[memberlist.Memberlist]().FieldByName("nodes")
	if ok && nodes.Type.Kind() == reflect.Slice && nodes.Type.Elem().Kind() == reflect.Pointer {
		theirs, ours := nodes.Type.Elem().Elem(), reflect.TypeFor[nodeState]()
		for i := range ours.NumField() {
			a, b := theirs.Field(i), ours.Field(i)
			ok = ok && a.Name == b.Name && a.Type == b.Type && a.Offset == b.Offset
		}
		if ok {
			return nil
		}
	}
	return fmt.Errorf("this version of memberlist has another nodeState: adapt member.go")
}
