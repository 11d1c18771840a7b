package form

import "github.com/parlance-im/parlance/xmpp/elem"

// Space is the namespace of data forms (XEP-0004 §3).
const Space = "jabber:x:data"

// Field is one field: its name, its type and its values.
type Field struct {
	Var    string
	Type   string // XEP-0004 §3.3; empty in a submitted form
	Label  string
	Values []string
}

// Form is a data form. Type is form, submit, cancel or result (XEP-0004 §3.1).
type Form struct {
	Type   string
	Fields []Field
}

// New makes a form whose FORM_TYPE is formType (XEP-0068 §2).
func New(typ, formType string) *Form {
	return &Form{Type: typ, Fields: []Field{{Var: "FORM_TYPE", Type: "hidden", Values: []string{formType}}}}
}

// Add appends a field and returns the form.
func (f *Form) Add(typ, name, label string, values ...string) *Form {
	f.Fields = append(f.Fields, Field{Var: name, Type: typ, Label: label, Values: values})
	return f
}

// Read makes a form of an <x/> element; nil gives nil.
func Read(x *elem.Element) *Form {
	if x == nil || x.Space != Space || x.Local != "x" {
		return nil
	}
	f := &Form{Type: x.Attr("type")}
	for _, c := range x.Children {
		if c.Local != "field" || c.Space != Space {
			continue
		}
		fd := Field{Var: c.Attr("var"), Type: c.Attr("type"), Label: c.Attr("label")}
		for _, v := range c.Children {
			if v.Local == "value" && v.Space == Space {
				fd.Values = append(fd.Values, v.Text)
			}
		}
		f.Fields = append(f.Fields, fd)
	}
	return f
}

// Kind is the FORM_TYPE, "" if there is none.
func (f *Form) Kind() string { v, _ := f.Value("FORM_TYPE"); return v }

// Value is the first value of a field and whether the field is there.
func (f *Form) Value(name string) (string, bool) {
	for i := range f.Fields {
		if f.Fields[i].Var == name {
			if len(f.Fields[i].Values) == 0 {
				return "", true
			}
			return f.Fields[i].Values[0], true
		}
	}
	return "", false
}

// Values are all values of a field.
func (f *Form) Values(name string) []string {
	for i := range f.Fields {
		if f.Fields[i].Var == name {
			return f.Fields[i].Values
		}
	}
	return nil
}

// Element is the form as an <x/> element.
func (f *Form) Element() *elem.Element {
	x := elem.New(Space, "x", "type", f.Type)
	for i := range f.Fields {
		fd := &f.Fields[i]
		e := elem.New(Space, "field", "var", fd.Var)
		if fd.Type != "" {
			e.Set("type", fd.Type)
		}
		if fd.Label != "" {
			e.Set("label", fd.Label)
		}
		for _, v := range fd.Values {
			e.Add(elem.New(Space, "value").SetText(v))
		}
		x.Add(e)
	}
	return x
}
