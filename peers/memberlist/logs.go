package main

import (
	"bytes"
	"os"
	"sync/atomic"
)

var logLevels = map[string]int{"debug": 0, "info": 1, "warn": 2, "err": 3, "none": 4}

// logCounts is what memberlist tells only in its log, over all members of the process.
type logCounts struct {
	suspected, markedFailed, refuted, queueFull, streamOnly, errors atomic.Uint64
}

// logWriter takes one member's log: counts what matters, reports suspicions, prints what is loud enough.
type logWriter struct {
	pool  *pool
	index int
	level int
}

func (w *logWriter) Write(text []byte) (int, error) {
	counts := &w.pool.logged
	switch {
	case bytes.Contains(text, []byte("has failed, no acks received")):
		counts.suspected.Add(1)
		w.reportSuspicion(text)
	case bytes.Contains(text, []byte("as failed, suspect timeout")):
		counts.markedFailed.Add(1)
	case bytes.Contains(text, []byte("Refuting a")):
		counts.refuted.Add(1)
	case bytes.Contains(text, []byte("handler queue full")):
		counts.queueFull.Add(1)
	case bytes.Contains(text, []byte("over TCP but UDP probes failed")):
		counts.streamOnly.Add(1)
	case bytes.Contains(text, []byte("[ERR]")):
		counts.errors.Add(1)
	}
	if levelOf(text) >= w.level {
		_, _ = os.Stderr.Write(text)
	}
	return len(text), nil
}

// The line is "... memberlist: Suspect NAME has failed, no acks received".
func (w *logWriter) reportSuspicion(text []byte) {
	_, rest, found := bytes.Cut(text, []byte("Suspect "))
	name, _, ended := bytes.Cut(rest, []byte(" has failed"))
	if found && ended && !w.pool.options.quietEvents {
		w.pool.output.event(line{"event": "suspect", "at": w.index, "node": string(name), "time_us": nowMicros()})
	}
}

func levelOf(text []byte) int {
	switch {
	case bytes.Contains(text, []byte("[DEBUG]")):
		return logLevels["debug"]
	case bytes.Contains(text, []byte("[INFO]")):
		return logLevels["info"]
	case bytes.Contains(text, []byte("[WARN]")):
		return logLevels["warn"]
	default:
		return logLevels["err"]
	}
}
