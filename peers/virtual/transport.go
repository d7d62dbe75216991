package main

import (
	"net"
	"os"
	"time"

	"github.com/hashicorp/memberlist"
)

// transport is what memberlist sends and listens with.
type transport struct {
	network *network
	member  *member
}

var _ memberlist.NodeAwareTransport = (*transport)(nil)

// FinalAdvertiseAddr is memberlist.Transport's.
func (t *transport) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	return t.member.ip, port, nil
}

// WriteTo is memberlist.Transport's.
func (t *transport) WriteTo(b []byte, addr string) (time.Time, error) {
	return t.network.send(t.member, b, addr)
}

// WriteToAddress is memberlist.NodeAwareTransport's.
func (t *transport) WriteToAddress(b []byte, addr memberlist.Address) (time.Time, error) {
	return t.network.send(t.member, b, addr.Addr)
}

// PacketCh is memberlist.Transport's.
func (t *transport) PacketCh() <-chan *memberlist.Packet { return t.member.packets }

// StreamCh is memberlist.Transport's.
func (t *transport) StreamCh() <-chan net.Conn { return t.member.streams }

// Shutdown is memberlist.Transport's.
func (t *transport) Shutdown() error { return nil }

// DialTimeout is memberlist.Transport's.
func (t *transport) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	return t.dial(addr, timeout)
}

// DialAddressTimeout is memberlist.NodeAwareTransport's.
func (t *transport) DialAddressTimeout(addr memberlist.Address, timeout time.Duration) (net.Conn, error) {
	return t.dial(addr.Addr, timeout)
}

// dial opens a stream. The handshake is the kernels' affair: it comes about with a member that stands still, and
// one that has vanished stays silent.
func (t *transport) dial(address string, timeout time.Duration) (net.Conn, error) {
	from := t.member
	t.network.wait(from)
	t.network.lock.Lock()
	to := t.network.byAddress[address]
	t.network.lock.Unlock()
	if to == nil || to.gone.Load() || from.gone.Load() {
		return nil, t.unanswered(timeout)
	}
	there, reached := t.network.crossing(from, to, handshakeResend)
	back, answered := t.network.crossing(to, from, handshakeResend)
	if !reached || !answered || there+back > timeout {
		return nil, t.unanswered(timeout)
	}
	time.Sleep(there + back)
	ours, theirs := newStream(t.network, from, to)
	time.AfterFunc(t.network.heldFor(to), func() { to.accept(theirs) })
	return ours, nil
}

func (t *transport) unanswered(timeout time.Duration) error {
	time.Sleep(max(timeout, 0))
	return &net.OpError{Op: "dial", Net: "tcp", Err: os.ErrDeadlineExceeded}
}

func (m *member) accept(s *stream) {
	if m.gone.Load() {
		return
	}
	select {
	case m.streams <- s:
	default:
		m.overflowed.Add(1)
	}
}
