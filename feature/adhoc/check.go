package adhoc

import (
	"fmt"
	"slices"
	"strings"

	"github.com/parlance-im/parlance/im"
	"github.com/parlance-im/parlance/xmpp/form"
	"github.com/parlance-im/parlance/xmpp/jid"
)

// check holds a submitted form against the one that was shown: the error names
// the field and says what to write (XEP-0050 §4.4: bad-payload; what is no address can be mended). Values of
// addresses are normalised in place, empty ones dropped.
func check(shown, got *form.Form) error {
	if got == nil || got.Type != "submit" {
		return badRequest("bad-payload", "fill in the form and submit it")
	}
	if kind := got.Kind(); kind != "" && kind != shown.Kind() {
		return badRequest("bad-payload", "this is not the form that was asked for: FORM_TYPE is "+shown.Kind())
	}
	for i := range shown.Fields {
		want := &shown.Fields[i]
		if want.Type == "hidden" || want.Type == "fixed" {
			continue
		}
		have := field(got, want.Var)
		if have == nil {
			if want.Required {
				return badRequest("bad-payload", name(want)+": this field is needed")
			}
			continue
		}
		if err := checkField(want, have); err != nil {
			return err
		}
	}
	return nil
}

func checkField(want, have *form.Field) error {
	if want.Type != "text-multi" { // where an empty line is a line
		have.Values = slices.DeleteFunc(have.Values, func(v string) bool { return v == "" })
	}
	if want.Required && strings.TrimSpace(strings.Join(have.Values, "")) == "" {
		return badRequest("bad-payload", name(want)+": this field is needed")
	}
	// XEP-0004 §3.3: one value, but for the types that are called multi.
	if len(have.Values) > 1 && (want.Type == "jid-single" || want.Type == "list-single" || want.Type == "text-single" ||
		want.Type == "text-private" || want.Type == "boolean") {
		return badRequest("bad-payload", name(want)+": one value only")
	}
	for i, v := range have.Values {
		switch want.Type {
		case "jid-single", "jid-multi":
			j, err := jid.Parse(strings.TrimSpace(v))
			if err != nil {
				return &im.Mend{Text: fmt.Sprintf("%s: %q is not an address; write it like somebody@example.com", name(want), v)}
			}
			have.Values[i] = j.String()
		case "list-single", "list-multi":
			if !slices.ContainsFunc(want.Options, func(o form.Option) bool { return o.Value == v }) {
				return badRequest("bad-payload", fmt.Sprintf("%s: choose one of %s", name(want), choices(want.Options)))
			}
		}
	}
	return nil
}

func field(f *form.Form, name string) *form.Field {
	for i := range f.Fields {
		if f.Fields[i].Var == name {
			return &f.Fields[i]
		}
	}
	return nil
}

func name(f *form.Field) string {
	if f.Label != "" {
		return f.Label
	}
	return f.Var
}

func choices(options []form.Option) string {
	all := make([]string, 0, len(options))
	for _, o := range options {
		all = append(all, o.Value)
	}
	return strings.Join(all, ", ")
}
