package faults

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/parlance-im/parlance/interop/check"
	"github.com/parlance-im/parlance/interop/client"
	"github.com/parlance-im/parlance/interop/server"
)

func chat(to, id, body string) string {
	return "<message type='chat' to='" + to + "' id='" + id + "'><body>" + body + "</body><origin-id xmlns='urn:xmpp:sid:0' id='" + id + "'/></message>"
}

func pair(t *testing.T, s *server.Server) (dave, erin *client.Client) {
	t.Helper()
	o := s.Options("dave", "disk")
	o.SM = true
	dave, erin = s.LoginWith(t, o), s.Login(t, "erin", "disk")
	if err := erin.Send("<presence/>"); err != nil {
		t.Fatal(err)
	}
	if err := erin.Fence(patience); err != nil {
		t.Fatal(err)
	}
	erin.Drain()
	return dave, erin
}

func bodies(ns []*client.Node) (out []string) {
	for _, n := range ns {
		if b := n.Body(); b != "" {
			out = append(out, b)
		}
	}
	return out
}

// HARDENING F5: with no space left a message is refused with
// resource-constraint and delivered to nobody; other things go on; when there
// is space again so do messages, without anybody's help.
func TestDisk_full(t *testing.T) {
	r := note(t, "F5", "no space left (strace: every file write fails with ENOSPC), then space again")
	s := server.Test(t, server.Parlance)
	dave, erin := pair(t, s)
	full := inject(t, s.Pid, "pwrite64", "error=ENOSPC")
	defer full.heal()
	began := time.Now()
	if err := dave.Send(chat(erin.JID, "full-1", "no room")); err != nil {
		t.Fatal(err)
	}
	n, err := dave.Take(patience, func(n *client.Node) bool { return n.Get("id") == "full-1" })
	if err != nil {
		t.Fatalf("no answer to a message that can't be kept: %v", err)
	}
	took := time.Since(began)
	if !n.Is("message", "error") || n.Condition() != "resource-constraint" || n.Kid("", "error").Get("type") != "wait" {
		t.Errorf("answer %s, due: resource-constraint, type wait", n)
	}
	if took > 10*time.Second { // ≤ 1 s, ×10 for shared machines (§0)
		t.Errorf("refused after %v", took)
	}
	r.count(t, "refused with resource-constraint after %v (bar: 1 s), delivered to nobody; ping, roster, archive and login meanwhile", took.Round(time.Millisecond))
	if got := bodies(erin.Drain()); len(got) > 0 {
		t.Errorf("delivered though not archived: %q", got)
	}
	// What needs no disk still works.
	if err := erin.Fence(patience); err != nil {
		t.Errorf("a ping meanwhile: %v", err)
	}
	if r, err := dave.IQ(patience, "get", "", "<query xmlns='jabber:iq:roster'/>"); err != nil || r.Get("type") != "result" {
		t.Errorf("the roster meanwhile: %v, %v", r, err)
	}
	if _, err := erin.Archive(patience, 50); err != nil {
		t.Errorf("the archive meanwhile: %v", err)
	}
	if late, err := client.Login(context.Background(), s.Options("carol", "late")); err != nil {
		t.Errorf("a login meanwhile: %v", err)
	} else {
		late.Close()
	}
	full.heal()
	if !full.struck() {
		t.Fatal("no write failed: the test shows nothing")
	}

	again := time.Now()
	if err := dave.Send(chat(erin.JID, "full-2", "room again")); err != nil {
		t.Fatal(err)
	}
	if _, err := erin.Take(patience, func(n *client.Node) bool { return n.Body() == "room again" }); err != nil {
		t.Fatalf("after there was space again: %v", err)
	}
	_, sent, _ := dave.Counters()
	if err := dave.WaitAcked(patience, sent); err != nil {
		t.Errorf("not acknowledged after there was space again: %v", err)
	}
	r.count(t, "the next message kept, delivered and acknowledged %v after there was space again (bar: 5 s)", time.Since(again).Round(time.Millisecond))
	if got := bodies(erin.Drain()); len(got) > 0 {
		t.Errorf("erin got more: %q", got)
	}
	expectArchive(t, s, []string{"full-2"}, []string{"full-1"})
}

// HARDENING F3: once a flush has failed nothing can be promised any more. No
// acknowledgement leaves that process, nobody gets the message, and the process
// ends; a new one is ready with everything acknowledged before.
func TestDisk_flushFails(t *testing.T) {
	r := note(t, "F3", "a flush fails with EIO (strace)")
	s, err := server.Start(context.Background(), server.Options{Kind: server.Parlance, Host: ownHost()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { s.Finish(t) }()
	dave, erin := pair(t, s)
	if err := dave.Send(chat(erin.JID, "eio-1", "before")); err != nil {
		t.Fatal(err)
	}
	_, sent, _ := dave.Counters()
	if err := dave.WaitAcked(patience, sent); err != nil {
		t.Fatal(err)
	}
	if _, err := erin.Take(patience, func(n *client.Node) bool { return n.Body() == "before" }); err != nil {
		t.Fatal(err)
	}
	erin.Drain()
	bad := inject(t, s.Pid, "fsync,fdatasync", "error=EIO")
	began := time.Now()
	if err := dave.Send(chat(erin.JID, "eio-2", "never promised") + "<r xmlns='urn:xmpp:sm:3'/>"); err != nil {
		t.Fatal(err)
	}
	why := dave.Closed(10 * time.Second) // exit ≤ 1 s, ×10 (§0)
	if why == client.ErrTimeout {
		t.Errorf("the server still serves 10 s after a failed flush")
	}
	_, sent, acked := dave.Counters()
	if acked >= sent {
		t.Errorf("acknowledged %d of %d after a failed flush", acked, sent)
	}
	if got := bodies(erin.Drain()); len(got) > 0 {
		t.Errorf("delivered though not flushed: %q", got)
	}
	gone := s.Exited(10 * time.Second)
	r.count(t, "stream ended with %v; process ended: %v, after %v (bar: 1 s); acknowledged %d of %d", why, gone, time.Since(began).Round(time.Millisecond), acked, sent)
	if !gone {
		t.Error("the process is still there 10 s after a failed flush")
	}
	bad.heal()
	if !bad.struck() {
		t.Error("no flush failed: the test shows nothing")
	}
	s.Kill()
	next, err := server.Start(context.Background(), server.Options{Reuse: s})
	if err != nil {
		t.Fatal(err)
	}
	s = next
	expectArchive(t, s, []string{"eio-1"}, nil) // eio-2 may be there or not: nobody was told
}

// expectArchive stops the server and looks into its files.
func expectArchive(t *testing.T, s *server.Server, has, hasNot []string) {
	t.Helper()
	if err := s.Stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	rows, err := check.Dump(filepath.Join(s.Dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, r := range rows {
		count[r.ID]++
	}
	for _, id := range has {
		if count[id] != 1 {
			t.Errorf("%s is in the archive %d times, due once", id, count[id])
		}
	}
	for _, id := range hasNot {
		if count[id] != 0 {
			t.Errorf("%s was refused and is in the archive", id)
		}
	}
}
