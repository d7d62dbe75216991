package main

// `memberlist-virtual compare` runs the same pools here and in the simulator, and puts what both gave side by side.

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
)

// pool is what is compared: memberlist in so many runs, the simulator in ten times as many and 20 at least.
type pool struct {
	name  string
	runs  int
	flags map[string]string
}

// Pools of the comparison. The small ones together take less than a minute on two cores.
var (
	smallPools = []pool{
		{"30 members", 12, map[string]string{"members": "30", "crashes": "3", "events": "1"}},
		{"30 members, 30 % loss", 8, map[string]string{"members": "30", "loss": "30%"}},
		{"50 members, 30 % loss", 4, map[string]string{"members": "50", "loss": "30%", "duration": "120s"}},
		{"10 members, 2 slow (10 s, 2 s)", 8, map[string]string{"members": "10", "slow": "2", "blocked": "10s", "open": "2s",
			"duration": "120s"}},
	}
	allPools = []pool{
		{"10 members", 100, map[string]string{"members": "10", "crashes": "1", "events": "1"}},
		{"100 members", 40, map[string]string{"members": "100", "crashes": "5", "events": "1"}},
		{"50 members, 30 % loss", 24, map[string]string{"members": "50", "loss": "30%", "duration": "120s"}},
		{"100 members, 20 % loss", 40, map[string]string{"members": "100", "loss": "20%", "duration": "120s"}},
		{"200 members, 20 % loss", 10, map[string]string{"members": "200", "loss": "20%", "duration": "120s"}},
		{"200 members, 30 % loss", 4, map[string]string{"members": "200", "loss": "30%", "duration": "120s"}},
		{"10 members, 2 slow (5 s, 1 s)", 100, map[string]string{"members": "10", "slow": "2", "duration": "120s"}},
		{"50 members, 5 slow (5 s, 1 s)", 24, map[string]string{"members": "50", "slow": "5", "duration": "120s"}},
		{"50 members, 5 slow (10 s, 2 s)", 8, map[string]string{"members": "50", "slow": "5", "blocked": "10s", "open": "2s",
			"duration": "120s"}},
	}
)

// quantity is one number of a pool, as each side has it.
type quantity struct {
	name string
	// The simulator's name, and memberlist's.
	simulated string
	real      func(*summary) *mean
	// Of the value: what is not counted as a difference, however sure it is.
	tolerance float64
}

func quantile(value *float64, count int) *mean {
	if value == nil {
		return nil
	}
	// Of the sort of spread that times of detection have.
	return &mean{*value, *value * 0.3 / math.Sqrt(float64(count))}
}

var quantities = []quantity{
	{"false deaths (pairs) a run", "false_deaths", func(s *summary) *mean { return &s.FalseDeaths }, 0.10},
	{"false deaths (subjects) a run", "false_death_subjects", func(s *summary) *mean { return &s.FalseDeathSubjects }, 0.10},
	{"suspicions begun a run", "false_suspicions", func(s *summary) *mean { return &s.Suspicions }, 0.05},
	{"packets a member-second", "datagrams_per_member_second", func(s *summary) *mean { return &s.Datagrams }, 0.03},
	{"bytes a member-second", "bytes_per_member_second", func(s *summary) *mean { return &s.Bytes }, 0.10},
	{"first declaration p50, s", "first_p50_s", func(s *summary) *mean { return quantile(s.First.P50, s.First.Count) }, 0.10},
	{"first declaration p99, s", "first_p99_s", func(s *summary) *mean { return quantile(s.First.P99, s.First.Count) }, 0.25},
	{"last declaration p50, s", "all_p50_s", func(s *summary) *mean { return quantile(s.All.P50, s.All.Count) }, 0.10},
	{"last declaration p99, s", "all_p99_s", func(s *summary) *mean { return quantile(s.All.P99, s.All.Count) }, 0.25},
	{"event spread p50, ms", "spread_p50_ms", func(s *summary) *mean { return quantile(s.Spread.P50, s.Spread.Count) }, 0.10},
	{"event spread p99, ms", "spread_p99_ms", func(s *summary) *mean { return quantile(s.Spread.P99, s.Spread.Count) }, 0.15},
}

// slowTolerance is the least tolerance of pools with slow members.
const slowTolerance = 0.15

// compared is one line of the outcome.
type compared struct {
	pool, measure        string
	real, upstream, ours *mean
	apart                bool
}

func compare(arguments []string) error {
	var tune, directory, only string
	var all bool
	flags := flag.NewFlagSet("memberlist-virtual compare", flag.ContinueOnError)
	flags.StringVar(&tune, "tune", "target/release/swimring-tune", "the simulator")
	flags.StringVar(&directory, "out", "", "write comparison.md and comparison.csv there, and what each side gave")
	flags.BoolVar(&all, "all", false, "all pools, for the record: some forty minutes on two cores")
	flags.StringVar(&only, "only", "", "only pools whose names contain this")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	pools := smallPools
	if all {
		pools = allPools
	}
	var lines []compared
	for _, p := range pools {
		if !strings.Contains(p.name, only) {
			continue
		}
		of, err := p.compare(tune, directory)
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		for _, line := range of {
			fmt.Println(line.row())
		}
		lines = append(lines, of...)
	}
	if len(lines) == 0 {
		return fmt.Errorf("--only %s: no such pool", only)
	}
	if directory != "" {
		if err := write(directory, lines); err != nil {
			return err
		}
	}
	apart := 0
	for _, line := range lines {
		if line.apart {
			apart++
		}
	}
	if apart > 0 {
		return fmt.Errorf("%d of %d numbers are further apart than chance and tolerance allow", apart, len(lines))
	}
	fmt.Printf("%d numbers, none further apart than chance and tolerance allow\n", len(lines))
	return nil
}

func (p *pool) compare(tune, directory string) ([]compared, error) {
	real, err := p.inMemberlist()
	if err != nil {
		return nil, err
	}
	upstream, err := p.inSimulator(tune, "upstream")
	if err != nil {
		return nil, err
	}
	ours, err := p.inSimulator(tune, "swimring")
	if err != nil {
		return nil, err
	}
	if directory != "" {
		if err := p.keep(directory, real); err != nil {
			return nil, err
		}
	}
	var lines []compared
	for _, m := range quantities {
		value := m.real(real)
		simulated := upstream[m.simulated]
		if m.simulated == "false_suspicions" && p.flags["crashes"] != "" {
			// memberlist does not say which of its suspicions are of those that crashed.
			continue
		}
		if value == nil || simulated == nil {
			continue
		}
		line := compared{pool: p.name, measure: m.name, real: value, upstream: simulated, ours: ours[m.simulated]}
		difference := math.Abs(value.Mean - simulated.Mean)
		chance := 4 * math.Hypot(value.Error, simulated.Error)
		// None at all in few runs is not sure to be none.
		chance = max(chance, 3/float64(real.Runs))
		tolerance := m.tolerance
		if p.flags["slow"] != "" {
			// The simulator reads what waited for a slow member in order of arrival, memberlist the newest first and news
			// of life before all other: it begins fewer suspicions that are over at once.
			tolerance = max(tolerance, slowTolerance)
		}
		line.apart = difference > chance+tolerance*math.Abs(value.Mean)
		lines = append(lines, line)
	}
	return lines, nil
}

// inMemberlist runs the pool in as many processes as there are processors.
func (p *pool) inMemberlist() (*summary, error) {
	own, err := os.Executable()
	if err != nil {
		return nil, err
	}
	processes := min(runtime.NumCPU(), p.runs)
	runs := make([][]run, processes)
	errs := make([]error, processes)
	var all sync.WaitGroup
	for nth := range processes {
		count := (p.runs + nth) / processes
		arguments := []string{"--runs", strconv.Itoa(count), "--seed", strconv.Itoa(1 + nth*100_000)}
		for name, value := range p.flags {
			arguments = append(arguments, "--"+name, value)
		}
		all.Go(func() {
			output, err := exec.Command(own, arguments...).Output()
			var whole report
			if err == nil {
				err = json.Unmarshal(output, &whole)
			}
			runs[nth], errs[nth] = whole.Runs, err
		})
	}
	all.Wait()
	var together []run
	for _, some := range runs {
		together = append(together, some...)
	}
	of := summarise(together)
	return &of, errors.Join(errs...)
}

// inSimulator runs the same pool in the simulator.
func (p *pool) inSimulator(tune, behaviour string) (map[string]*mean, error) {
	o, err := parseOptions(p.arguments())
	if err != nil {
		return nil, err
	}
	file := filepath.Join(os.TempDir(), fmt.Sprintf("memberlist-virtual-%d.json", os.Getpid()))
	defer os.Remove(file)
	seconds := func(s span) string { return fmt.Sprintf("%gs", s.Duration().Seconds()) }
	events := "0"
	if o.Events > 0 {
		events = fmt.Sprintf("%g/s", o.Events)
	}
	arguments := []string{"simulate", "--behaviour", behaviour, "--wire", "memberlist", "--suspicion", "lifeguard", "--quiet",
		"--json", file, "--seeds", strconv.Itoa(max(10*p.runs, 20)), "--members", strconv.Itoa(o.Members),
		"--duration", seconds(o.Duration), "--loss", o.Loss.String(),
		"--rtt-ms", fmt.Sprint(o.RTT.Duration().Seconds() * 1e3), "--rtt-sigma", fmt.Sprint(o.Sigma),
		"--crashes", strconv.Itoa(o.Crashes), "--events", events,
		"--event-bytes", strconv.Itoa(o.EventBytes)}
	if o.Slow > 0 {
		arguments = append(arguments, "--impaired", fmt.Sprintf("held:%d:%s/%s", o.Slow, seconds(o.Blocked), seconds(o.Open)))
	}
	command := exec.Command(tune, arguments...)
	command.Stderr = os.Stderr
	if err := command.Run(); err != nil {
		return nil, fmt.Errorf("%s %s: %w", tune, strings.Join(arguments, " "), err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var document struct {
		Points []struct {
			Summary map[string]json.RawMessage `json:"summary"`
		} `json:"points"`
	}
	if err := json.Unmarshal(text, &document); err != nil {
		return nil, err
	}
	if len(document.Points) != 1 {
		return nil, fmt.Errorf("%s gave %d points", tune, len(document.Points))
	}
	numbers := map[string]*mean{}
	for _, m := range quantities {
		var estimate *struct{ Value, Low, High *float64 }
		if err := json.Unmarshal(document.Points[0].Summary[m.simulated], &estimate); err != nil || estimate == nil {
			continue
		}
		number := &mean{Mean: *estimate.Value}
		if estimate.Low != nil && estimate.High != nil {
			// Its interval is one of 95 %.
			number.Error = (*estimate.High - *estimate.Low) / 2 / 1.96
		}
		numbers[m.simulated] = number
	}
	return numbers, nil
}

func (p *pool) arguments() []string {
	var arguments []string
	for name, value := range p.flags {
		arguments = append(arguments, "--"+name, value)
	}
	return arguments
}

// keep writes what memberlist gave.
func (p *pool) keep(directory string, of *summary) error {
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return err
	}
	name := strings.NewReplacer(" ", "-", ",", "", "%", "percent", "(", "", ")", "").Replace(p.name)
	text, err := json.MarshalIndent(of, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(directory, name+".json"), append(text, '\n'), 0o644)
}

// plain writes a number to three digits or more.
func plain(value float64) string {
	if math.Abs(value) >= 1000 {
		return strconv.FormatFloat(value, 'f', 0, 64)
	}
	return strconv.FormatFloat(value, 'g', 3, 64)
}

func (m *mean) String() string {
	if m == nil {
		return "-"
	}
	return plain(m.Mean) + " ± " + plain(1.96*m.Error)
}

func (c *compared) row() string {
	verdict := ""
	if c.apart {
		verdict = "apart"
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s |", c.pool, c.measure, c.real, c.upstream, c.ours, verdict)
}

func write(directory string, lines []compared) error {
	page := []string{
		"| pool | | memberlist | simulated, upstream | simulated, Swimring's own | |", "|---|---|---:|---:|---:|---|",
	}
	for i := range lines {
		page = append(page, lines[i].row())
	}
	text := strings.Join(page, "\n") + "\n"
	if err := os.WriteFile(filepath.Join(directory, "comparison.md"), []byte(text), 0o644); err != nil {
		return err
	}
	file, err := os.Create(filepath.Join(directory, "comparison.csv"))
	if err != nil {
		return err
	}
	defer file.Close()
	return writeCSV(file, lines)
}

func writeCSV(out io.Writer, lines []compared) error {
	writer := csv.NewWriter(out)
	_ = writer.Write([]string{"pool", "measure", "memberlist", "memberlist_error", "upstream", "upstream_error", "swimring",
		"swimring_error", "apart"})
	number := func(m *mean) []string {
		if m == nil {
			return []string{"", ""}
		}
		return []string{fmt.Sprint(m.Mean), fmt.Sprint(m.Error)}
	}
	for _, line := range lines {
		row := []string{line.pool, line.measure}
		for _, m := range []*mean{line.real, line.upstream, line.ours} {
			row = append(row, number(m)...)
		}
		_ = writer.Write(append(row, strconv.FormatBool(line.apart)))
	}
	writer.Flush()
	return writer.Error()
}
