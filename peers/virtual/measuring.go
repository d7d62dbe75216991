package main

// What is counted, with the definitions of the simulator's trials (engine/src/sim/trial/measuring.rs): a false death
// is a member held dead that lives, by whoever will not vanish; observers are those that neither vanish nor are slow.

import (
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-metrics"
)

// run is what one run gave. Times are in seconds, of events in milliseconds.
type run struct {
	Seed               int64     `json:"seed"`
	FalseDeaths        int       `json:"false_deaths"`
	FalseDeathSubjects int       `json:"false_death_subjects"`
	FalseDeathsHealthy int       `json:"false_deaths_healthy_subjects"`
	Suspicions         int64     `json:"suspicions_begun"`
	Datagrams          float64   `json:"datagrams_per_member_second"`
	Bytes              float64   `json:"bytes_per_member_second"`
	StreamBytes        float64   `json:"stream_bytes_per_member_second"`
	First              []float64 `json:"first_declared_s,omitempty"`
	All                []float64 `json:"all_declared_s,omitempty"`
	Spread             []float64 `json:"event_spread_ms,omitempty"`
	Missed             int       `json:"deliveries_missed,omitempty"`
	Overflowed         int64     `json:"overflowed,omitempty"`
	WallSeconds        float64   `json:"wall_s"`
}

// crash is how one was noticed.
type crash struct {
	at     time.Time
	by     map[int]bool
	first  time.Duration
	latest time.Duration
}

type measuring struct {
	lock        sync.Mutex
	began, ends time.Time
	members     []*member
	crashes     map[int]*crash
	said        []time.Time
	missing     int
	observers   int
	deaths      int
	healthy     int
	subjects    map[[2]uint32]bool
	spread      []float64
	datagrams   int64
	bytes       int64
	streamBytes int64
}

func (m *measuring) timing(now time.Time) bool {
	return !m.began.IsZero() && !now.Before(m.began) && now.Before(m.ends)
}

func (m *measuring) datagram(now time.Time, bytes int) {
	m.lock.Lock()
	defer m.lock.Unlock()
	if m.timing(now) {
		m.datagrams++
		m.bytes += int64(bytes)
	}
}

func (m *measuring) stream(now time.Time, bytes int) {
	m.lock.Lock()
	defer m.lock.Unlock()
	if m.timing(now) {
		m.streamBytes += int64(bytes)
	}
}

// failed notes that an observer has come to hold a subject dead.
func (m *measuring) failed(now time.Time, observer *member, subject int, incarnation uint32) {
	m.lock.Lock()
	defer m.lock.Unlock()
	if m.began.IsZero() || observer.victim {
		return
	}
	noticed := m.crashes[subject]
	if noticed == nil || now.Before(noticed.at) {
		m.deaths++
		if !m.members[subject].slow {
			m.healthy++
		}
		m.subjects[[2]uint32{uint32(subject), incarnation}] = true
		return
	}
	if observer.slow || noticed.by[observer.number] {
		return
	}
	noticed.by[observer.number] = true
	noticed.latest = now.Sub(noticed.at)
	if len(noticed.by) == 1 {
		noticed.first = noticed.latest
	}
	m.missing--
}

func (m *measuring) delivered(now time.Time, observer *member, number int) {
	m.lock.Lock()
	defer m.lock.Unlock()
	if observer.victim || observer.slow || number >= len(m.said) {
		return
	}
	m.spread = append(m.spread, now.Sub(m.said[number]).Seconds()*1e3)
	m.missing--
}

func (m *measuring) over() bool {
	m.lock.Lock()
	defer m.lock.Unlock()
	return m.missing <= 0
}

// result is the run as it was. The crashed are not there for all of the measured time.
func (m *measuring) result(o *options) *run {
	m.lock.Lock()
	defer m.lock.Unlock()
	seconds := float64(o.Members) * o.Duration.Duration().Seconds()
	r := run{FalseDeaths: m.deaths, FalseDeathSubjects: len(m.subjects), FalseDeathsHealthy: m.healthy, Spread: m.spread,
		Missed: max(m.missing, 0)}
	for _, noticed := range m.crashes {
		seconds -= m.ends.Sub(noticed.at).Seconds()
		if len(noticed.by) > 0 {
			r.First = append(r.First, noticed.first.Seconds())
		}
		if len(noticed.by) == m.observers {
			r.All = append(r.All, noticed.latest.Seconds())
		}
	}
	slices.Sort(r.First)
	slices.Sort(r.All)
	r.Datagrams = float64(m.datagrams) / seconds
	r.Bytes = float64(m.bytes) / seconds
	r.StreamBytes = float64(m.streamBytes) / seconds
	for _, member := range m.members {
		r.Overflowed += member.overflowed.Load()
	}
	return &r
}

// suspicionSink counts what memberlist counts: its metric `memberlist.msg.suspect` goes up by one whenever a member
// begins to suspect another.
type suspicionSink struct {
	metrics.BlackholeSink
	begun atomic.Int64
}

// IncrCounterWithLabels is metrics.MetricSink's.
func (s *suspicionSink) IncrCounterWithLabels(key []string, _ float32, _ []metrics.Label) {
	if last := len(key) - 1; last > 0 && key[last] == "suspect" && key[last-1] == "msg" {
		s.begun.Add(1)
	}
}

// countSuspicions has memberlist's metrics come here.
func countSuspicions() *suspicionSink {
	sink := &suspicionSink{}
	config := metrics.DefaultConfig("")
	config.EnableHostname, config.EnableHostnameLabel, config.EnableRuntimeMetrics = false, false, false
	config.EnableServiceLabel = false
	if _, err := metrics.NewGlobal(config, sink); err != nil {
		panic(err)
	}
	return sink
}

// mean of many runs, and the standard error of it.
type mean struct {
	Mean  float64 `json:"mean"`
	Error float64 `json:"standard_error"`
}

// quantiles of times; null where there are none.
type quantiles struct {
	Count int      `json:"count"`
	P50   *float64 `json:"p50"`
	P90   *float64 `json:"p90"`
	P99   *float64 `json:"p99"`
}

type summary struct {
	Runs               int       `json:"runs"`
	FalseDeaths        mean      `json:"false_deaths"`
	FalseDeathSubjects mean      `json:"false_death_subjects"`
	FalseDeathsHealthy mean      `json:"false_deaths_healthy_subjects"`
	Suspicions         mean      `json:"suspicions_begun"`
	Datagrams          mean      `json:"datagrams_per_member_second"`
	Bytes              mean      `json:"bytes_per_member_second"`
	StreamBytes        mean      `json:"stream_bytes_per_member_second"`
	First              quantiles `json:"first_declared_s"`
	All                quantiles `json:"all_declared_s"`
	Spread             quantiles `json:"event_spread_ms"`
}

func summarise(runs []run) summary {
	of := func(value func(*run) float64) mean {
		var sum, squares float64
		for i := range runs {
			sum += value(&runs[i])
		}
		average := sum / float64(len(runs))
		for i := range runs {
			squares += math.Pow(value(&runs[i])-average, 2)
		}
		if len(runs) < 2 {
			return mean{Mean: average}
		}
		return mean{average, math.Sqrt(squares / float64(len(runs)-1) / float64(len(runs)))}
	}
	all := func(values func(*run) []float64) quantiles {
		var sample []float64
		for i := range runs {
			sample = append(sample, values(&runs[i])...)
		}
		slices.Sort(sample)
		at := func(share float64) *float64 {
			if len(sample) == 0 {
				return nil
			}
			return &sample[max(int(math.Ceil(share*float64(len(sample))))-1, 0)]
		}
		return quantiles{len(sample), at(0.5), at(0.9), at(0.99)}
	}
	return summary{
		Runs:               len(runs),
		FalseDeaths:        of(func(r *run) float64 { return float64(r.FalseDeaths) }),
		FalseDeathSubjects: of(func(r *run) float64 { return float64(r.FalseDeathSubjects) }),
		FalseDeathsHealthy: of(func(r *run) float64 { return float64(r.FalseDeathsHealthy) }),
		Suspicions:         of(func(r *run) float64 { return float64(r.Suspicions) }),
		Datagrams:          of(func(r *run) float64 { return r.Datagrams }),
		Bytes:              of(func(r *run) float64 { return r.Bytes }),
		StreamBytes:        of(func(r *run) float64 { return r.StreamBytes }),
		First:              all(func(r *run) []float64 { return r.First }),
		All:                all(func(r *run) []float64 { return r.All }),
		Spread:             all(func(r *run) []float64 { return r.Spread }),
	}
}
