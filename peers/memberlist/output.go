package main

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"io"
	"sync/atomic"
	"time"
	"unicode/utf8"
)

// Lines that may wait for a slow reader. Events beyond it are counted and lost, since they are reported under
// memberlist's own locks, which must not wait for a pipe; answers wait for room.
const linesWaitingMax = 1 << 16

type line map[string]any

// output writes lines of JSON, each whole, in the order in which they were given.
type output struct {
	lines   chan line
	lost    atomic.Uint64
	pending atomic.Int64
}

func newOutput(to io.Writer) *output {
	o := &output{lines: make(chan line, linesWaitingMax)}
	go o.write(to)
	return o
}

func (o *output) write(to io.Writer) {
	buffer := bufio.NewWriterSize(to, 1<<16)
	encoder := json.NewEncoder(buffer)
	encoder.SetEscapeHTML(false)
	for l := range o.lines {
		_ = encoder.Encode(l)
		if len(o.lines) == 0 {
			_ = buffer.Flush()
		}
		o.pending.Add(-1)
	}
}

// event gives a line to print, or counts it as lost.
func (o *output) event(l line) {
	o.pending.Add(1)
	select {
	case o.lines <- l:
	default:
		o.pending.Add(-1)
		o.lost.Add(1)
	}
}

func (o *output) answer(l line) {
	o.pending.Add(1)
	o.lines <- l
}

// flush waits until all is written, but not long for a reader that has stopped.
func (o *output) flush() {
	for patience := 100; patience > 0 && o.pending.Load() > 0; patience-- {
		time.Sleep(10 * time.Millisecond)
	}
}

// put sets a field to bytes as text, and beside it FIELD_hex where they are not text.
func (l line) put(field string, bytes []byte) line {
	l[field] = string(bytes)
	if !utf8.Valid(bytes) {
		l[field+"_hex"] = hex.EncodeToString(bytes)
	}
	return l
}

func nowMicros() int64 { return time.Now().UnixMicro() }
