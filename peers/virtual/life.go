package main

// The life of one run: members come up and get to know each other on a network that loses nothing, then it loses,
// then what happens is measured.

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

const (
	// How long members that do not know everyone join again before the run is given up.
	assemblyMax = 5 * time.Minute
	// From the last join to the loss: longer than news of it is told.
	settling = 20 * time.Second
	// After the measured time: until every crash is held by everyone, at most.
	drainMax = 2 * time.Minute
)

// live is one run, inside a bubble.
func live(o *options, seed int64, sink *suspicionSink) (*run, error) {
	random := rand.New(rand.NewPCG(uint64(seed), 0x7669_7274))
	measuring := &measuring{subjects: map[[2]uint32]bool{}, crashes: map[int]*crash{}}
	network := &network{options: o, measuring: measuring, random: rand.New(rand.NewPCG(uint64(seed), 0x6e65_7477)),
		byAddress: map[string]*member{}}
	members, err := assemble(o, network, measuring, random)
	measuring.members = members
	defer func() {
		for _, m := range members {
			if m.list != nil && !m.gone.Load() {
				m.crash()
			}
		}
		// For what is under way still to come to its end.
		time.Sleep(time.Minute)
	}()
	if err != nil {
		return nil, err
	}
	time.Sleep(settling)
	network.lossy = true
	time.Sleep(o.WarmUp.Duration())
	before := sink.begun.Load()
	measure(o, network, measuring, random)
	result := measuring.result(o)
	result.Seed = seed
	result.Suspicions = sink.begun.Load() - before
	return result, nil
}

// assemble brings the members up, out of step with each other, and waits until all know all.
func assemble(o *options, n *network, measuring *measuring, random *rand.Rand) ([]*member, error) {
	members := make([]*member, o.Members)
	for number := range members {
		members[number] = newMember(number, measuring)
		n.byAddress[members[number].addr.String()] = members[number]
	}
	pick(random, members, o)
	interval := o.configuration().ProbeInterval
	for number, m := range members {
		// memberlist's tickers run from its creation: spread over an interval they do not beat together.
		time.Sleep(time.Duration(random.Int64N(int64(interval)/8 + 1)))
		if err := m.begin(o, n); err != nil {
			return members, fmt.Errorf("%s: %w", m.name, err)
		}
		if number > 0 {
			if _, err := m.list.Join([]string{members[random.IntN(number)].addr.String()}); err != nil {
				return members, fmt.Errorf("%s could not join: %w", m.name, err)
			}
		}
	}
	for began := time.Now(); ; time.Sleep(time.Second) {
		lacking := 0
		for _, m := range members {
			if m.list.NumMembers() < len(members) {
				lacking++
				_, _ = m.list.Join([]string{members[random.IntN(len(members))].addr.String()})
			}
		}
		if lacking == 0 {
			return members, nil
		}
		if time.Since(began) > assemblyMax {
			return members, fmt.Errorf("%d of %d members do not know all after %s", lacking, len(members), assemblyMax)
		}
	}
}

// pick says who is slow, who vanishes, and who is cut off: different members, but for the cut.
func pick(random *rand.Rand, members []*member, o *options) {
	order := random.Perm(len(members))
	for nth, number := range order {
		m := members[number]
		m.slow = nth < o.Slow
		m.victim = !m.slow && nth < o.Slow+o.Crashes
		m.cut = nth < o.Cut
	}
}

// happening is something that is done at a time.
type happening struct {
	at time.Time
	do func()
}

// measure lets everything happen, and time pass until it is over.
func measure(o *options, n *network, measuring *measuring, random *rand.Rand) {
	now := time.Now()
	measuring.lock.Lock()
	measuring.began, measuring.ends = now, now.Add(o.Duration.Duration())
	var well, victims []*member
	for _, m := range measuring.members {
		switch {
		case m.victim:
			victims = append(victims, m)
		case !m.slow:
			well = append(well, m)
		}
	}
	measuring.observers = len(well)
	window := o.Duration.Duration() / 3 * 2
	var happenings []happening
	for nth, at := range spreadOver(random, window, len(victims)) {
		victim := victims[nth]
		measuring.crashes[victim.number] = &crash{at: now.Add(at), by: map[int]bool{}}
		happenings = append(happenings, happening{now.Add(at), victim.crash})
	}
	for number, at := range spreadOver(random, window, int(window.Seconds()*o.Events+1e-6)) {
		sender := well[random.IntN(len(well))]
		measuring.said = append(measuring.said, now.Add(at))
		happenings = append(happenings, happening{now.Add(at), func() { sender.say(uint32(number), o.EventBytes) }})
	}
	measuring.missing = len(victims)*len(well) + len(measuring.said)*(len(well)-1)
	measuring.lock.Unlock()
	n.origin = now
	slices.SortStableFunc(happenings, func(a, b happening) int { return a.at.Compare(b.at) })
	for _, h := range happenings {
		time.Sleep(time.Until(h.at))
		h.do()
	}
	time.Sleep(time.Until(measuring.ends))
	for waited := time.Duration(0); waited < drainMax && !measuring.over(); waited += 100 * time.Millisecond {
		time.Sleep(100 * time.Millisecond)
	}
}

// spreadOver is so many moments in order, one in each of as many equal parts of a window.
func spreadOver(random *rand.Rand, window time.Duration, count int) []time.Duration {
	moments := make([]time.Duration, count)
	for nth := range moments {
		moments[nth] = time.Duration((float64(nth) + random.Float64()) * float64(window) / float64(count))
	}
	return moments
}
