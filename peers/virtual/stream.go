package main

import (
	"bytes"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// stream is one end of a connection. What is written arrives whole, in order, late by what TCP needs to get it
// through; what never gets through leaves the other side waiting for its deadline.
type stream struct {
	network *network
	owner   *member
	other   *stream
	arrived chan struct{}

	lock     sync.Mutex
	received bytes.Buffer
	ended    bool
	closed   bool
	stuck    bool
	latest   time.Time
	deadline time.Time
}

var _ net.Conn = (*stream)(nil)

func newStream(n *network, from, to *member) (*stream, *stream) {
	ours := &stream{network: n, owner: from, arrived: make(chan struct{}, 1)}
	theirs := &stream{network: n, owner: to, arrived: make(chan struct{}, 1)}
	ours.other, theirs.other = theirs, ours
	return ours, theirs
}

// Read is net.Conn's.
func (s *stream) Read(b []byte) (int, error) {
	for {
		s.network.wait(s.owner)
		s.lock.Lock()
		length, _ := s.received.Read(b)
		over, closed, deadline := s.ended, s.closed, s.deadline
		s.lock.Unlock()
		switch {
		case length > 0 || len(b) == 0:
			return length, nil
		case closed:
			return 0, net.ErrClosed
		case over:
			return 0, io.EOF
		}
		var late <-chan time.Time
		if !deadline.IsZero() {
			if !time.Now().Before(deadline) {
				return 0, os.ErrDeadlineExceeded
			}
			timer := time.NewTimer(time.Until(deadline))
			defer timer.Stop()
			late = timer.C
		}
		select {
		case <-s.arrived:
		case <-late:
		}
	}
}

// Write is net.Conn's.
func (s *stream) Write(b []byte) (int, error) {
	s.network.wait(s.owner)
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.closed {
		return 0, net.ErrClosed
	}
	if !s.deadline.IsZero() && !time.Now().Before(s.deadline) {
		return 0, os.ErrDeadlineExceeded
	}
	s.network.measuring.stream(time.Now(), len(b))
	written := bytes.Clone(b)
	s.post(func() { s.other.take(written) })
	return len(b), nil
}

// Close is net.Conn's.
func (s *stream) Close() error {
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	s.wake()
	s.post(s.other.end)
	return nil
}

// post lets something happen at the other side once it has crossed the network, after all that went before. The
// lock is held.
func (s *stream) post(happens func()) {
	crossing, through := s.network.crossing(s.owner, s.other.owner, streamResend)
	s.stuck = s.stuck || !through
	if s.stuck || s.owner.gone.Load() {
		return
	}
	at := time.Now().Add(crossing)
	if !at.After(s.latest) {
		// Timers of one moment fire in any order.
		at = s.latest.Add(1)
	}
	s.latest = at
	time.AfterFunc(time.Until(at), happens)
}

func (s *stream) take(written []byte) {
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.owner.gone.Load() {
		return
	}
	s.received.Write(written)
	s.wake()
}

func (s *stream) end() {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.ended = true
	s.wake()
}

func (s *stream) wake() {
	select {
	case s.arrived <- struct{}{}:
	default:
	}
}

// SetDeadline is net.Conn's. memberlist sets it before it reads.
func (s *stream) SetDeadline(deadline time.Time) error {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.deadline = deadline
	s.wake()
	return nil
}

// SetReadDeadline is net.Conn's.
func (s *stream) SetReadDeadline(deadline time.Time) error { return s.SetDeadline(deadline) }

// SetWriteDeadline is net.Conn's.
func (s *stream) SetWriteDeadline(deadline time.Time) error { return s.SetDeadline(deadline) }

// LocalAddr is net.Conn's.
func (s *stream) LocalAddr() net.Addr { return s.owner.addr }

// RemoteAddr is net.Conn's.
func (s *stream) RemoteAddr() net.Addr { return s.other.owner.addr }
