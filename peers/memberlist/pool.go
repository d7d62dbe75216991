package main

import (
	"fmt"
	"hash/maphash"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Payloads and departed names whose times are kept for `heard` and `departures`.
const recordsMax = 4_096

// pool is all members of this process.
type pool struct {
	options *options
	output  *output
	members []*member
	seed    maphash.Seed
	logged  logCounts
	totals  struct{ join, leave, update, user, conflict atomic.Uint64 }
	payload records
	departs records
}

// sighting is when one member of ours heard of something.
type sighting struct {
	At     int    `json:"at"`
	State  string `json:"state,omitempty"`
	TimeUs int64  `json:"time_us"`
}

// records keeps sightings by key, the oldest keys making room for new ones.
type records struct {
	lock  sync.Mutex
	byKey map[string][]sighting
	order []string
}

func (r *records) add(key string, s sighting) {
	r.lock.Lock()
	defer r.lock.Unlock()
	if r.byKey == nil {
		r.byKey = make(map[string][]sighting)
	}
	if _, known := r.byKey[key]; !known {
		if len(r.order) >= recordsMax {
			delete(r.byKey, r.order[0])
			r.order = r.order[1:]
		}
		r.order = append(r.order, key)
	}
	r.byKey[key] = append(r.byKey[key], s)
}

func (r *records) get(key string) []sighting {
	r.lock.Lock()
	defer r.lock.Unlock()
	return append([]sighting{}, r.byKey[key]...)
}

func newPool(options *options, output *output) *pool {
	p := &pool{options: options, output: output, seed: maphash.MakeSeed()}
	for index := range options.members {
		p.members = append(p.members, &member{
			pool: p, index: index, name: fmt.Sprintf("%s-%d", options.namePrefix, index), address: options.address(index),
		})
	}
	return p
}

func (p *pool) hash(message []byte) uint64 { return maphash.Bytes(p.seed, message) }

// start brings the members up one after another, each joining before the next begins.
func (p *pool) start() {
	began := time.Now()
	joined, failures := 0, []string{}
	for _, m := range p.members {
		if err := m.begin(p.options.meta); err != nil {
			p.output.answer(line{"event": "error", "error": err.Error()})
			fmt.Fprintln(os.Stderr, "memberlist-peer:", err)
			p.output.flush()
			os.Exit(1)
		}
		seeds := p.seedsOf(m)
		if len(seeds) == 0 {
			continue
		}
		if _, err := p.join(m, seeds); err != nil {
			failures = append(failures, fmt.Sprintf("%s: %v", m.name, err))
			continue
		}
		joined++
	}
	p.output.answer(line{"event": "ready", "members": len(p.members), "joined": joined, "failures": failures,
		"seconds": time.Since(began).Seconds(), "time_us": nowMicros()})
}

// seedsOf says whom a member joins: the addresses given, or the first other member of ours that runs.
func (p *pool) seedsOf(m *member) []string {
	if len(p.options.join) > 0 && (m.index == 0 || !p.options.joinFirstOnly) {
		return p.options.join
	}
	for _, other := range p.members {
		if other == m {
			continue
		}
		if _, err := other.running(); err == nil {
			return []string{fmt.Sprintf("%s:%d", other.address, p.options.port)}
		}
	}
	return nil
}

func (p *pool) join(m *member, seeds []string) (int, error) {
	i, err := m.running()
	if err != nil {
		return 0, err
	}
	return i.list.Join(seeds)
}

// membership reports what a member of ours has learned about another.
func (p *pool) membership(m *member, kind string, node *nodeState) {
	now := nowMicros()
	switch kind {
	case "join":
		p.totals.join.Add(1)
	case "update":
		p.totals.update.Add(1)
	case "leave":
		p.totals.leave.Add(1)
		p.departs.add(node.Name, sighting{m.index, stateName(node.State), now})
	}
	if p.options.quietEvents {
		return
	}
	p.output.event(line{"event": kind, "at": m.index, "member": m.name, "node": node.Name,
		"address": node.Address(), "state": stateName(node.State), "incarnation": node.Incarnation,
		"time_us": now}.put("meta", node.Meta))
}

// heard reports a user message that is new to a member of ours.
func (p *pool) heard(m *member, message []byte) {
	now := nowMicros()
	p.totals.user.Add(1)
	f, framed := parseFrame(message)
	if !framed {
		f.payload = message
	}
	p.payload.add(string(f.payload), sighting{At: m.index, TimeUs: now})
	if p.options.quietEvents {
		return
	}
	l := line{"event": "user", "at": m.index, "member": m.name, "bytes": len(message), "time_us": now}
	l.put("payload", f.payload)
	if framed {
		l.put("name", f.name)
		l["origin"], l["sequence"] = f.origin, f.sequence
	}
	p.output.event(l)
}
