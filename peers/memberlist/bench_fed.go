package main

// One memberlist instance behind a transport that has no network: packets and streams come from the measurement, what
// it sends goes nowhere.

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// Datagrams that are fed before the worker is waited for: their messages must fit into memberlist's queue.
const datagramsPerRound = 100

// Distinct datagrams that are fed in turn.
const datagramsDistinct = 2_000

// How long the worker may take for one round.
const roundTimeout = 30 * time.Second

type nowhere struct {
	packets chan *memberlist.Packet
	streams chan net.Conn
}

var errNowhere = errors.New("there is no network")

func (t *nowhere) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	return net.IPv4(10, 255, 255, 1).To4(), 7946, nil
}
func (t *nowhere) WriteTo([]byte, string) (time.Time, error)           { return time.Now(), nil }
func (t *nowhere) PacketCh() <-chan *memberlist.Packet                 { return t.packets }
func (t *nowhere) DialTimeout(string, time.Duration) (net.Conn, error) { return nil, errNowhere }
func (t *nowhere) StreamCh() <-chan net.Conn                           { return t.streams }
func (t *nowhere) Shutdown() error                                     { return nil }

// fed is an instance that knows a number of members besides itself.
type fed struct {
	list    *memberlist.Memberlist
	nowhere *nowhere
	members int
	drained time.Duration
	lock    sync.Mutex
	said    bytes.Buffer
}

// Write takes memberlist's log, in which anything but a connection's begin is a complaint.
func (f *fed) Write(text []byte) (int, error) {
	f.lock.Lock()
	defer f.lock.Unlock()
	if !bytes.Contains(text, []byte("[DEBUG]")) && f.said.Len() < 1<<12 {
		f.said.Write(text)
	}
	return len(text), nil
}

func (f *fed) complaint() error {
	f.lock.Lock()
	defer f.lock.Unlock()
	if f.said.Len() > 0 {
		return fmt.Errorf("memberlist complained: %s", f.said.String())
	}
	return nil
}

func newFed(o *benchOptions, form form, members int) (*fed, error) {
	f := &fed{nowhere: &nowhere{make(chan *memberlist.Packet), make(chan net.Conn)}, members: members}
	c := memberlist.DefaultLANConfig()
	c.Name = "self"
	c.Transport = f.nowhere
	c.Logger = log.New(f, "", 0)
	c.ProbeInterval, c.GossipInterval, c.PushPullInterval = 0, 0, 0
	c.EnableCompression = form == compressed
	if form == encrypted {
		c.SecretKey = benchKey
	}
	list, err := memberlist.Create(c)
	if err != nil {
		return nil, err
	}
	f.list = list
	if _, err := f.exchange(encodePushPull(form, members, 1, o.meta)); err != nil {
		return nil, err
	}
	// What the instance would pass on to others, which it never does here.
	membershipBroadcasts(f.list).Reset()
	return f, f.complaint()
}

func (f *fed) end() { _ = f.list.Shutdown() }

var feeder = &net.UDPAddr{IP: net.IPv4(10, 255, 255, 2), Port: 7946}

func (f *fed) packet(datagram []byte) {
	f.nowhere.packets <- &memberlist.Packet{Buf: datagram, From: feeder, Timestamp: time.Now()}
}

// drain waits until the worker has taken all messages. Looking costs, so most of the wait is one sleep, as long as
// the last round took.
func (f *fed) drain() error {
	began := time.Now()
	time.Sleep(f.drained * 9 / 10)
	for unhandled(f.list) > 0 {
		if time.Since(began) > roundTimeout {
			return errors.New("memberlist's worker is stuck")
		}
		time.Sleep(200 * time.Microsecond)
	}
	f.drained = time.Since(began)
	return nil
}

// exchange pushes a state and pulls the instance's own; it is done when the instance has merged and closes.
func (f *fed) exchange(request []byte) (int64, error) {
	ours, theirs := net.Pipe()
	f.nowhere.streams <- theirs
	if _, err := ours.Write(request); err != nil {
		return 0, err
	}
	pulled, err := io.Copy(io.Discard, ours)
	_ = ours.Close()
	return pulled, err
}

// incarnations counts the other members by the incarnation that the instance has them at, if it has them alive.
func (f *fed) incarnations() map[uint32]int {
	counts := make(map[uint32]int)
	for _, node := range nodeStates(f.list) {
		if node.Name != "self" && node.State == memberlist.StateAlive {
			counts[node.Incarnation]++
		}
	}
	return counts
}

func newDatagrams(o *benchOptions, form form, members int) (*subject, error) {
	f, err := newFed(o, form, members)
	if err != nil {
		return nil, err
	}
	random := rand.New(rand.NewPCG(1, uint64(members)))
	datagrams := make([][]byte, datagramsDistinct)
	total := 0
	for i := range datagrams {
		chosen := make([]int, updatesPerDatagram)
		for j := range chosen {
			chosen[j] = random.IntN(members)
		}
		datagrams[i] = encodeDatagram(o, form, chosen, 1)
		total += len(datagrams[i])
	}
	next := 0
	round := func() (int, error) {
		for range datagramsPerRound {
			f.packet(datagrams[next])
			next = (next + 1) % len(datagrams)
		}
		return datagramsPerRound, f.drain()
	}
	change := func() error { return f.everyone(o, form, 2) }
	return &subject{f, round, change, total / len(datagrams)}, nil
}

// everyone feeds datagrams about all members, once.
func (f *fed) everyone(o *benchOptions, form form, incarnation uint32) error {
	for from := 0; from < f.members; from += updatesPerDatagram {
		chosen := []int{}
		for index := from; index < min(from+updatesPerDatagram, f.members); index++ {
			chosen = append(chosen, index)
		}
		f.packet(encodeDatagram(o, form, chosen, incarnation))
		if (from/updatesPerDatagram)%datagramsPerRound == datagramsPerRound-1 {
			if err := f.drain(); err != nil {
				return err
			}
		}
	}
	if err := f.drain(); err != nil {
		return err
	}
	// The worker may still have the last message in hand.
	time.Sleep(10 * time.Millisecond)
	return nil
}

func newPushPull(o *benchOptions, form form, members int) (*subject, error) {
	f, err := newFed(o, form, members)
	if err != nil {
		return nil, err
	}
	request := encodePushPull(form, members, 1, o.meta)
	round := func() (int, error) {
		pulled, err := f.exchange(request)
		if err == nil && pulled < int64(len(request))/2 {
			err = fmt.Errorf("pulled only %d bytes", pulled)
		}
		return 1, err
	}
	change := func() error {
		_, err := f.exchange(encodePushPull(form, members, 2, o.meta))
		return err
	}
	return &subject{f, round, change, len(request)}, nil
}
