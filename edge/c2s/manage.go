package c2s

import (
	"context"
	"crypto/rand"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/parlance-im/parlance/im/session"
	"github.com/parlance-im/parlance/xmpp/elem"
	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/stanza"
	"github.com/parlance-im/parlance/xmpp/stream"
)

// HandledError is an error of Core.Resume that knows how many stanzas the
// lost session had handled, for <failed h=”/> (XEP-0198 §5).
type HandledError interface {
	error
	Handled() uint32
}

// onManage takes the elements of XEP-0198 on a bound stream.
func onManage(s *Stream, ctx context.Context, raw *elem.Raw) error {
	switch string(raw.Local) {
	case "r":
		return s.answerAck(ctx)
	case "a":
		return s.takeAck(raw)
	case "enable":
		return s.enable(ctx, raw)
	case "resume": // XEP-0198 §5: instead of binding, not after it
		return s.failed("unexpected-request", nil)
	}
	return stream.Fail("unsupported-stanza-type", "Unknown element of stream management.")
}

// answerAck tells how many stanzas are handled: those before <r/> are
// committed first, so that acknowledged means archived.
func (s *Stream) answerAck(ctx context.Context) error {
	if !s.out.sm.Load() {
		return s.failed("unexpected-request", nil)
	}
	if err := s.inlet.Flush(ctx); err != nil {
		return s.internal(err)
	}
	h := s.sess.Handled()
	// What was refused counts as handled, so its error goes first: a connection
	// that ends between the two must not leave the client with the number alone.
	return s.out.sendBehind(func(dst []byte, f stream.Framing) []byte {
		el := append(make([]byte, 0, 48), "<a xmlns='"+stream.SMSpace+"' h='"...)
		el = strconv.AppendUint(el, uint64(h), 10)
		return f.Element(dst, append(el, "'/>"...), 0)
	})
}

// takeAck confirms what the client has handled (XEP-0198 §4).
func (s *Stream) takeAck(raw *elem.Raw) error {
	h, ok := counter(raw)
	if !ok {
		return stream.Fail("bad-format", "h in <a/> is a number below 2^32 (XEP-0198 §4).")
	}
	if err := s.sess.Ack(h); err != nil {
		return tooHigh(h, s.sess.Sent())
	}
	s.out.answered()
	return nil
}

// tooHigh is the error of XEP-0198 §4.
func tooHigh(h, sent uint32) error {
	return &stream.Error{
		Condition: "undefined-condition", Text: "You acknowledged more stanzas than were sent.",
		App: elem.New(stream.SMSpace, "handled-count-too-high",
			"h", strconv.FormatUint(uint64(h), 10), "send-count", strconv.FormatUint(uint64(sent), 10)),
	}
}

func counter(raw *elem.Raw) (uint32, bool) {
	h, err := strconv.ParseUint(string(attr(raw, "h")), 10, 32)
	return uint32(h), err == nil
}

// enable switches stream management on (XEP-0198 §3).
func (s *Stream) enable(ctx context.Context, raw *elem.Raw) error {
	if s.out.sm.Load() {
		return s.failed("unexpected-request", nil)
	}
	// What came before <enable/> is not counted: it must be out of the way.
	if err := s.inlet.Flush(ctx); err != nil {
		return s.internal(err)
	}
	o := &s.out
	o.mu.Lock()
	defer o.mu.Unlock()
	// Between frames written before <enabled/> and those after it.
	el := manage(s, string(attr(raw, "resume")), string(attr(raw, "max")))
	return o.sendLocked(func(dst []byte, f stream.Framing) []byte {
		return f.Element(dst, el.AppendTo(nil, stream.Client), 0)
	})
}

// manage switches stream management on for the session and gives <enabled/>. No
// frame is written meanwhile.
func manage(s *Stream, resume, most string) *elem.Element {
	window := resumeWindow(most, s.srv.conf.Limits.Resume)
	again := window > 0 && (resume == "true" || resume == "1") && s.guest.IsZero()
	el := elem.New(stream.SMSpace, "enabled")
	key := ""
	if again {
		id := rand.Text() // XEP-0198 §3: unguessable; 130 bits
		el.Set("id", id)
		el.Set("resume", "true")
		el.Set("max", strconv.Itoa(int(window/time.Second)))
		key = smKey(id, s.sess.Device())
	}
	s.sess.EnableSM(key, again)
	s.sess.LimitWindow(window)
	s.out.sm.Store(true)
	return el
}

// smKey is what a session is found by: the device it belongs to, and the id its
// client was told. Another device of the same account that has got hold of the id
// does not resume it (HARDENING A11). A device has no space in it, so that nobody
// can say another's key in the id.
func smKey(id, device string) string { return device + " " + id }

// resumeWindow is how long a session may wait to be resumed: what the client
// prefers, or what the server allows if that is less (XEP-0198 §3), in whole
// seconds, as it is announced. What is no positive integer (XEP-0198 §13) is no
// preference.
func resumeWindow(wish string, most time.Duration) time.Duration {
	most = most.Truncate(time.Second)
	n, err := strconv.ParseUint(strings.TrimSpace(wish), 10, 64)
	if err != nil || n == 0 || n > uint64(most/time.Second) {
		return most // also if it is longer than a number can say
	}
	return time.Duration(n) * time.Second
}

// resume takes an earlier session up again (XEP-0198 §5). A failure leaves the
// client free to bind.
func (s *Stream) resume(ctx context.Context, raw *elem.Raw) error {
	el, sess, err := takeUp(ctx, s, s.who, string(attr(raw, "previd")), string(attr(raw, "h")))
	if err != nil {
		return err
	}
	s.sess = sess
	if err := s.out.element(el.AppendTo(nil, stream.Client), 0); err != nil || sess == nil {
		return err
	}
	return s.bound()
}

// takeUp gives the session and <resumed/>, or no session and <failed/>, or the
// error that ends the stream.
func takeUp(ctx context.Context, s *Stream, who jid.JID, id, handled string) (*elem.Element, *session.Session, error) {
	h, err := strconv.ParseUint(handled, 10, 32)
	if err != nil || id == "" {
		return failed("bad-request", nil), nil, nil
	}
	// Frames pushed to the session from here on wait until <resumed/> is out.
	sess, err := s.srv.conf.Core.Resume(ctx, who, smKey(id, s.nego.device), uint32(h), &s.out)
	if errors.Is(err, session.ErrHandledCount) {
		return nil, nil, tooHigh(uint32(h), 0)
	}
	if e, ok := errors.AsType[*stream.Error](err); ok {
		return nil, nil, e
	}
	if err != nil {
		return failed("item-not-found", err), nil, nil
	}
	sess.SetLanguage(s.nego.lang)
	s.out.sm.Store(true)
	return elem.New(stream.SMSpace, "resumed", "previd", id, "h", strconv.FormatUint(uint64(sess.Handled()), 10)), sess, nil
}

// failed refuses a request of stream management; the stream goes on (XEP-0198 §3, §5).
func (s *Stream) failed(condition string, cause error) error {
	return s.out.element(failed(condition, cause).AppendTo(nil, stream.Client), 0)
}

func failed(condition string, cause error) *elem.Element {
	el := elem.New(stream.SMSpace, "failed").Add(elem.New(stanza.ErrorSpace, condition))
	if e, ok := errors.AsType[HandledError](cause); ok {
		el.Set("h", strconv.FormatUint(uint64(e.Handled()), 10))
	}
	return el
}
