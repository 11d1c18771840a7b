package ping

import (
	"testing"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/xmpp/stanza"
)

// XEP-0050 §2.2: a command for everybody, done in one step, with a remark.
func TestPing_command(t *testing.T) {
	cmds := Feature().Commands
	if len(cmds) != 1 || cmds[0].Node != "ping" || cmds[0].May != nil || len(cmds[0].Stages) != 0 {
		t.Fatalf("commands %+v", cmds)
	}
	out, err := cmds[0].Run(t.Context(), &im.Call{})
	if err != nil || len(out.Notes) != 1 || out.Notes[0].Type != "info" || out.Notes[0].Text == "" {
		t.Errorf("%+v %v", out, err)
	}
}

// XEP-0199 §4.1, §4.2: an empty result, from the server and from one's own account; not on behalf of others.
func TestPing_emptyResult(t *testing.T) {
	f := Feature()
	if len(f.IQ) != 1 {
		t.Fatalf("%d routes", len(f.IQ))
	}
	r := f.IQ[0]
	if r.Scope != im.ToHost|im.ToSelf || r.Type != stanza.Get || r.Space != "urn:xmpp:ping" || r.Local != "ping" {
		t.Errorf("claims %+v", r)
	}
	if out, err := r.Handle(t.Context(), &im.IQ{Type: stanza.Get}); out != nil || err != nil {
		t.Errorf("%v %v", out, err)
	}
	if len(f.HostFeatures) != 1 || f.HostFeatures[0] != r.Space { // XEP-0199 §5
		t.Errorf("announces %v", f.HostFeatures)
	}
}
