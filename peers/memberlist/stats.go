package main

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

// processCPU is the processor time of this process so far, in seconds: in its own code and in the kernel for it.
func processCPU() (user, system float64, err error) {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0, 0, err
	}
	seconds := func(t syscall.Timeval) float64 { return float64(t.Sec) + float64(t.Usec)/1e6 }
	return seconds(usage.Utime), seconds(usage.Stime), nil
}

// residentBytes is the memory of this process that is in use now.
func residentBytes() (uint64, error) {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text))
	pages, err := strconv.ParseUint(fields[1], 10, 64)
	return pages * uint64(os.Getpagesize()), err
}

// stats is what the process has used and what its members have gone through.
func (p *pool) stats() (line, error) {
	user, system, err := processCPU()
	if err != nil {
		return nil, err
	}
	resident, err := residentBytes()
	if err != nil {
		return nil, err
	}
	health := make([]*int, len(p.members))
	queued := 0
	for index, m := range p.members {
		if i, err := m.running(); err == nil {
			score := i.list.GetHealthScore()
			health[index] = &score
			queued += i.queue.NumQueued()
		}
	}
	return line{
		"cpu_s": user + system, "user_s": user, "system_s": system, "resident_bytes": resident,
		"goroutines": runtime.NumGoroutine(), "health": health, "messages_queued": queued,
		"lines_lost": p.output.lost.Load(), "time_us": nowMicros(),
		"events": line{"join": p.totals.join.Load(), "leave": p.totals.leave.Load(), "update": p.totals.update.Load(),
			"user": p.totals.user.Load(), "conflict": p.totals.conflict.Load()},
		"log": line{"suspected": p.logged.suspected.Load(), "marked_failed": p.logged.markedFailed.Load(),
			"refuted": p.logged.refuted.Load(), "queue_full": p.logged.queueFull.Load(),
			"stream_only": p.logged.streamOnly.Load(), "errors": p.logged.errors.Load()},
	}, nil
}
