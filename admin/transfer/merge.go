package transfer

import (
	"context"
	"crypto/sha256"
	"errors"
	"time"

	"github.com/parlance-im/parlance/im/deliver"
	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/jid"
)

const (
	// apart is how far the times of two copies of one message may lie apart where
	// each account's archive has its own.
	apart = 5 * time.Second
	// together is how many messages share a transaction.
	together = 256
	// open bounds the messages whose other copy may still come.
	maxOpen = 8192
)

// merger makes one record of the copies that accounts have of a message.
type merger struct {
	ctx       context.Context
	to        Target
	positions bool
	sum       *Sum
	tell      func()

	held  []*joined // in order
	byKey map[identity][]*joined
	batch []deliver.Restored
}

// identity is what two copies of a message have in common.
type identity [16]byte

// joined is a record to be.
type joined struct {
	id    identity
	key   int64
	text  []byte
	r     deliver.Restored
	owner jid.JID // whose copy the text is
	seqs  []int64 // the places of r.Owners' copies in what was read
}

func (m *merger) add(i *item) error {
	owner, err := jid.Parse(i.owner)
	if err != nil {
		return err
	}
	if err := m.settle(i.key); err != nil {
		return err
	}
	id := m.identity(i)
	for _, j := range m.byKey[id] {
		if j.take(owner, i) {
			return nil
		}
	}
	j := &joined{id: id, key: i.key, text: i.text, owner: owner, r: deliver.Restored{At: time.UnixMicro(i.at).UTC()}}
	if i.sender != "" {
		if j.r.Sender, err = jid.Parse(i.sender); err != nil {
			return err
		}
	}
	if m.positions {
		j.r.Had = session.Pos(i.pos)
	}
	j.take(owner, i)
	m.held = append(m.held, j)
	m.byKey[id] = append(m.byKey[id], j)
	return nil
}

// identity is the position where there are some, else all that was said.
func (m *merger) identity(i *item) (id identity) {
	h := sha256.New()
	if m.positions && i.pos != 0 {
		h.Write([]byte{'p', byte(i.pos), byte(i.pos >> 8), byte(i.pos >> 16), byte(i.pos >> 24), byte(i.pos >> 32), byte(i.pos >> 40), byte(i.pos >> 48), byte(i.pos >> 56)})
	} else {
		h.Write(i.text)
	}
	copy(id[:], h.Sum(nil))
	return id
}

// take adds an account's copy; false if it has one already, so that this is another message.
func (j *joined) take(owner jid.JID, i *item) bool {
	if i.waits {
		if !j.r.Waiting.IsZero() {
			return false
		}
		j.r.Waiting = owner
		return true
	}
	for _, o := range j.r.Owners {
		if o == owner {
			return false
		}
	}
	j.r.Owners, j.seqs = append(j.r.Owners, owner), append(j.seqs, i.seq)
	return true
}

// settle passes on what no copy can come of any more.
func (m *merger) settle(key int64) error {
	window := int64(0)
	if !m.positions {
		window = apart.Microseconds()
	}
	n := 0
	for n < len(m.held) && (m.held[n].key < key-window || len(m.held)-n > maxOpen) {
		n++
	}
	return m.first(n)
}

// first passes on the first n of what is held, those of one time in an order that
// each of their owners had them in.
func (m *merger) first(n int) error {
	for _, j := range inOrder(m.held[:n]) {
		if err := m.pass(j); err != nil {
			return err
		}
	}
	m.held = m.held[n:]
	return nil
}

func (m *merger) pass(j *joined) error {
	rest := m.byKey[j.id][:0]
	for _, o := range m.byKey[j.id] {
		if o != j {
			rest = append(rest, o)
		}
	}
	if m.byKey[j.id] = rest; len(rest) == 0 {
		delete(m.byKey, j.id)
	}
	p, err := readMessage(&unit{raw: j.text}, j.owner)
	if err != nil {
		return err // it was read before
	}
	j.r.Stanza = p.st
	if !j.r.Sender.IsZero() {
		p.st.To = jid.JID{}
	}
	m.batch = append(m.batch, j.r)
	if len(m.batch) == together {
		return m.flush()
	}
	return nil
}

func (m *merger) flush() error {
	if len(m.batch) == 0 {
		return nil
	}
	if err := m.to.Keep(m.ctx, m.batch); err != nil {
		return err
	}
	for i := range m.batch {
		m.sum.Messages++
		if !m.batch[i].Waiting.IsZero() {
			m.sum.Waiting++
		}
	}
	m.batch = m.batch[:0]
	m.tell()
	return nil
}

// end passes on the rest.
func (m *merger) end() error {
	return errors.Join(m.first(len(m.held)), m.flush())
}
