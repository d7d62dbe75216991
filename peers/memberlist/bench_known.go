package main

// What it costs memberlist to know many members: memory after a garbage collection, and processor time of the whole
// process for learning of them and for being told that they live on.

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// knownCost has the fields that `embedded` of our benches reads.
type knownCost struct {
	Known         int     `json:"known"`
	HeapBytes     uint64  `json:"heap_bytes"`
	ResidentBytes uint64  `json:"resident_bytes"`
	LearnedMs     float64 `json:"learned_ms"`
	AliveNs       float64 `json:"alive_ns"`
}

// heap is what is in use after a garbage collection.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

func resident() uint64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "VmRSS:" {
			kilobytes, _ := strconv.ParseUint(fields[1], 10, 64)
			return kilobytes << 10
		}
	}
	return 0
}

func runKnown(o *benchOptions) error {
	o.meta = 0
	heapBefore, residentBefore := heap(), resident()
	began, err := processTime()
	if err != nil {
		return err
	}
	f, err := newFed(o, plain, o.known)
	if err != nil {
		return err
	}
	defer f.end()
	learned, err := processTime()
	if err != nil {
		return err
	}
	if incarnations := f.incarnations(); incarnations[1] != o.known {
		return fmt.Errorf("not all are known: members by incarnation %v", incarnations)
	}
	cost := knownCost{Known: o.known, HeapBytes: heap() - heapBefore, ResidentBytes: resident() - residentBefore,
		LearnedMs: float64((learned - began).Microseconds()) / 1e3}
	// Not to measure how the datagrams are made, which is what memberlist would not do.
	datagrams := f.datagrams(o, 2)
	before, err := processTime()
	if err != nil {
		return err
	}
	for i, datagram := range datagrams {
		f.packet(datagram)
		if i%datagramsPerRound == datagramsPerRound-1 {
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
	after, err := processTime()
	if err != nil {
		return err
	}
	if incarnations := f.incarnations(); incarnations[2] != o.known {
		return fmt.Errorf("not all was taken in: members by incarnation %v", incarnations)
	}
	cost.AliveNs = float64((after - before).Nanoseconds()) / float64(o.known)
	return json.NewEncoder(os.Stdout).Encode(cost)
}

// datagrams tell of all members, once.
func (f *fed) datagrams(o *benchOptions, incarnation uint32) [][]byte {
	var datagrams [][]byte
	for from := 0; from < f.members; from += updatesPerDatagram {
		chosen := []int{}
		for index := from; index < min(from+updatesPerDatagram, f.members); index++ {
			chosen = append(chosen, index)
		}
		datagrams = append(datagrams, encodeDatagram(o, plain, chosen, incarnation))
	}
	return datagrams
}
