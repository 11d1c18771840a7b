package form

import "github.com/parlance-im/parlance/xmpp/elem"

// Space is the namespace of data forms (XEP-0004 §3).
const Space = "jabber:x:data"

// Field is one field: its name, its type and its values.
type Field struct {
	Var      string
	Type     string // XEP-0004 §3.3; empty in a submitted form
	Label    string
	Required bool
	Options  []Option // of list-single and list-multi
	Values   []string
}

// Option is one choice of a list (XEP-0004 §3.2).
type Option struct{ Label, Value string }

// Form is a data form. Type is form, submit, cancel or result (XEP-0004 §3.1).
type Form struct {
	Type                string
	Title, Instructions string
	Fields              []Field
	// Reported and Items are a table of results (XEP-0004 §3.4).
	Reported []Field
	Items    [][]Field
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
	f := &Form{Type: x.Attr("type"), Title: x.ChildText("title"), Instructions: x.ChildText("instructions")}
	for _, c := range x.Children {
		if c.Space != Space {
			continue
		}
		switch c.Local {
		case "field":
			f.Fields = append(f.Fields, readField(c))
		case "reported":
			f.Reported = readFields(c)
		case "item":
			f.Items = append(f.Items, readFields(c))
		}
	}
	return f
}

func readFields(e *elem.Element) (out []Field) {
	for _, c := range e.Children {
		if c.Space == Space && c.Local == "field" {
			out = append(out, readField(c))
		}
	}
	return out
}

func readField(c *elem.Element) Field {
	fd := Field{Var: c.Attr("var"), Type: c.Attr("type"), Label: c.Attr("label")}
	for _, v := range c.Children {
		if v.Space != Space {
			continue
		}
		switch v.Local {
		case "value":
			fd.Values = append(fd.Values, v.Text)
		case "required":
			fd.Required = true
		case "option":
			fd.Options = append(fd.Options, Option{Label: v.Attr("label"), Value: v.ChildText("value")})
		}
	}
	return fd
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
	if f.Title != "" {
		x.Add(elem.New(Space, "title").SetText(f.Title))
	}
	if f.Instructions != "" {
		x.Add(elem.New(Space, "instructions").SetText(f.Instructions))
	}
	for i := range f.Fields {
		x.Add(f.Fields[i].element())
	}
	if len(f.Reported) > 0 {
		x.Add(row("reported", f.Reported))
	}
	for _, item := range f.Items {
		x.Add(row("item", item))
	}
	return x
}

func row(name string, fields []Field) *elem.Element {
	e := elem.New(Space, name)
	for i := range fields {
		e.Add(fields[i].element())
	}
	return e
}

func (fd *Field) element() *elem.Element {
	e := elem.New(Space, "field", "var", fd.Var)
	if fd.Type != "" {
		e.Set("type", fd.Type)
	}
	if fd.Label != "" {
		e.Set("label", fd.Label)
	}
	if fd.Required {
		e.Add(elem.New(Space, "required"))
	}
	for _, v := range fd.Values {
		e.Add(elem.New(Space, "value").SetText(v))
	}
	for _, o := range fd.Options {
		oe := elem.New(Space, "option")
		if o.Label != "" {
			oe.Set("label", o.Label)
		}
		e.Add(oe.Add(elem.New(Space, "value").SetText(o.Value)))
	}
	return e
}
