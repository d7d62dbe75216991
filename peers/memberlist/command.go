package main

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// Longest command in bytes.
const commandMax = 1 << 20

// How long a leave or an update may take until its broadcasts are out.
const broadcastTimeout = 5 * time.Second

// command is one line on standard input; which fields count depends on `do`.
type command struct {
	ID         uint64    `json:"id"`
	Do         string    `json:"do"`
	Of         targets   `json:"of"`
	Payload    string    `json:"payload"`
	PayloadHex string    `json:"payload_hex"`
	Name       *string   `json:"name"`
	Origin     uint64    `json:"origin"`
	Sequence   uint32    `json:"sequence"`
	Meta       *string   `json:"meta"`
	To         string    `json:"to"`
	Reliable   bool      `json:"reliable"`
	Op         string    `json:"op"`
	Key        string    `json:"key"`
	Addresses  *[]string `json:"addresses"`
	Address    string    `json:"address"`
	Node       string    `json:"node"`
}

// targets is an index, a list of them, "all", or nothing at all.
type targets struct {
	all     bool
	indices []int
}

func (t *targets) UnmarshalJSON(text []byte) error {
	var one int
	if json.Unmarshal(text, &one) == nil {
		t.indices = []int{one}
		return nil
	}
	if json.Unmarshal(text, &t.indices) == nil {
		return nil
	}
	if string(text) == `"all"` {
		t.all = true
		return nil
	}
	return errors.New(`"of" is a member's index, a list of them or "all"`)
}

// serve carries out commands one after another until standard input ends or `quit`.
func (p *pool) serve(from io.Reader) {
	lines := bufio.NewScanner(from)
	lines.Buffer(make([]byte, 0, 1<<16), commandMax)
	for lines.Scan() {
		if len(lines.Bytes()) == 0 {
			continue
		}
		var c command
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			p.reply(&c, line{}, fmt.Errorf("not a command: %w", err))
			continue
		}
		if c.Do == "quit" {
			p.reply(&c, line{}, nil)
			return
		}
		result, err := p.do(&c)
		p.reply(&c, result, err)
	}
}

func (p *pool) reply(c *command, l line, err error) {
	if l == nil {
		l = line{}
	}
	l["reply"], l["id"], l["ok"] = c.Do, c.ID, err == nil
	if err != nil {
		l["error"] = err.Error()
	}
	p.output.answer(l)
}

func (p *pool) do(c *command) (line, error) {
	switch c.Do {
	case "members":
		return p.doMembers(c)
	case "counts":
		return p.doCounts(), nil
	case "event":
		return p.doEvent(c)
	case "heard":
		payload, err := c.payload()
		return line{"heard": p.payload.get(string(payload))}, err
	case "departures":
		return line{"departures": p.departs.get(c.Node)}, nil
	case "meta":
		if c.Meta == nil || len(*c.Meta) > memberlist.MetaMaxSize {
			return nil, fmt.Errorf(`"meta" wants text of at most %d bytes`, memberlist.MetaMaxSize)
		}
		return p.each(c, func(m *member) error { return m.update(*c.Meta) })
	case "leave":
		return p.each(c, func(m *member) error { return m.end(true) })
	case "kill":
		return p.each(c, func(m *member) error { return m.end(false) })
	case "restart":
		return p.each(c, func(m *member) error { return p.restart(m, c) })
	case "join":
		return p.each(c, func(m *member) error { return p.rejoin(m, c) })
	case "send":
		return nil, p.doSend(c)
	case "key":
		return nil, p.doKey(c)
	case "stats":
		return p.stats()
	default:
		return nil, fmt.Errorf("no command %q", c.Do)
	}
}

func (p *pool) chosen(c *command, otherwise []*member) ([]*member, error) {
	if c.Of.all {
		return p.members, nil
	}
	if c.Of.indices == nil {
		return otherwise, nil
	}
	chosen := make([]*member, 0, len(c.Of.indices))
	for _, index := range c.Of.indices {
		if index < 0 || index >= len(p.members) {
			return nil, fmt.Errorf("no member %d: there are %d", index, len(p.members))
		}
		chosen = append(chosen, p.members[index])
	}
	return chosen, nil
}

// each does something to all chosen members at once, the first member where none is named. It gives the time at
// which it began, and the members whose broadcasts did not finish.
func (p *pool) each(c *command, something func(*member) error) (line, error) {
	chosen, err := p.chosen(c, p.members[:1])
	if err != nil {
		return nil, err
	}
	began := nowMicros()
	outcomes := make([]error, len(chosen))
	var all sync.WaitGroup
	for at, m := range chosen {
		all.Go(func() { outcomes[at] = something(m) })
	}
	all.Wait()
	unfinished, failures := []string{}, []error{}
	for _, outcome := range outcomes {
		var which errUnfinished
		if errors.As(outcome, &which) {
			unfinished = append(unfinished, string(which))
		} else if outcome != nil {
			failures = append(failures, outcome)
		}
	}
	return line{"time_us": began, "unfinished": unfinished}, errors.Join(failures...)
}

func (p *pool) one(c *command) (*instance, error) {
	chosen, err := p.chosen(c, p.members[:1])
	if err != nil {
		return nil, err
	}
	if len(chosen) != 1 {
		return nil, fmt.Errorf("%s is for one member", c.Do)
	}
	return chosen[0].running()
}

func (c *command) payload() ([]byte, error) {
	if c.PayloadHex != "" {
		return hex.DecodeString(c.PayloadHex)
	}
	return []byte(c.Payload), nil
}

func (p *pool) doMembers(c *command) (line, error) {
	i, err := p.one(c)
	if err != nil {
		return nil, err
	}
	members := []line{}
	for _, node := range nodeStates(i.list) {
		members = append(members, line{"name": node.Name, "address": node.Address(), "state": stateName(node.State),
			"incarnation": node.Incarnation, "versions": []int{int(node.PMin), int(node.PMax), int(node.PCur),
				int(node.DMin), int(node.DMax), int(node.DCur)}}.put("meta", node.Meta))
	}
	return line{"of": i.member.index, "members": members}, nil
}

// doCounts says how many members each of ours takes to be alive, or null where ours does not run.
func (p *pool) doCounts() line {
	counts := make([]*int, len(p.members))
	for index, m := range p.members {
		if i, err := m.running(); err == nil {
			alive := i.list.NumMembers()
			counts[index] = &alive
		}
	}
	return line{"counts": counts}
}

func (p *pool) doEvent(c *command) (line, error) {
	i, err := p.one(c)
	if err != nil {
		return nil, err
	}
	message, err := c.payload()
	if err == nil && c.Name != nil {
		message, err = frame{c.Origin, c.Sequence, []byte(*c.Name), message}.encode()
	}
	if err != nil {
		return nil, err
	}
	i.learn(p.hash(message))
	sent := nowMicros()
	i.spread(message)
	return line{"time_us": sent}, nil
}

func (m *member) update(meta string) error {
	i, err := m.running()
	if err != nil {
		return err
	}
	i.setMeta(meta)
	return m.finished(i.list.UpdateNode(broadcastTimeout))
}

// restart begins a new instance, at another address if one is given, and lets it join.
func (p *pool) restart(m *member, c *command) error {
	if c.Address != "" {
		address, err := netip.ParseAddr(c.Address)
		if err != nil {
			return err
		}
		m.lock.Lock()
		m.address = address
		m.lock.Unlock()
	}
	meta := p.options.meta
	if c.Meta != nil {
		meta = *c.Meta
	}
	if err := m.begin(meta); err != nil {
		return err
	}
	return p.rejoin(m, c)
}

// rejoin joins the addresses in the command, or those that the member joined at first.
func (p *pool) rejoin(m *member, c *command) error {
	seeds := p.seedsOf(m)
	if c.Addresses != nil {
		seeds = *c.Addresses
	}
	if len(seeds) == 0 {
		return nil
	}
	_, err := p.join(m, seeds)
	return err
}

func (p *pool) doSend(c *command) error {
	i, err := p.one(c)
	if err != nil {
		return err
	}
	message, err := c.payload()
	if err != nil {
		return err
	}
	for _, node := range i.list.Members() {
		if node.Name != c.To {
			continue
		}
		if c.Reliable {
			return i.list.SendReliable(node, message)
		}
		return i.list.SendBestEffort(node, message)
	}
	return fmt.Errorf("%s knows of no live member %q", i.member.name, c.To)
}

// doKey changes the keyrings of the chosen members, all where none is named.
func (p *pool) doKey(c *command) error {
	key, err := decodeKey(c.Key)
	if err != nil {
		return err
	}
	chosen, err := p.chosen(c, p.members)
	if err != nil {
		return err
	}
	for _, m := range chosen {
		keyring := m.ring()
		if keyring == nil {
			return errors.New("members that began without --key have no keyring")
		}
		if err := changeKey(keyring, c.Op, key); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	return nil
}

func changeKey(keyring *memberlist.Keyring, op string, key []byte) error {
	switch op {
	case "install":
		return keyring.AddKey(key)
	case "use":
		return keyring.UseKey(key)
	case "remove":
		return keyring.RemoveKey(key)
	default:
		return fmt.Errorf("no key operation %q: install, use or remove", op)
	}
}
