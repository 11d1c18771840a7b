package server

import (
	"bytes"
	"encoding/xml"
	"io"
	"os"
	"testing"
)

// The committed tables are what the code says today.
func TestSupport_generatedFilesAreFresh(t *testing.T) {
	for file, write := range map[string]func(io.Writer) error{
		"../docs/features.md": WriteSupport, "../docs/parlance.doap": WriteDOAP,
	} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(file)
		if err != nil || !bytes.Equal(got, b.Bytes()) {
			t.Errorf("%s is not what the features say (%v): run make generate", file, err)
		}
	}
}

func TestSupport_DOAPIsXML(t *testing.T) {
	var b bytes.Buffer
	if err := WriteDOAP(&b); err != nil {
		t.Fatal(err)
	}
	for d := xml.NewDecoder(&b); ; {
		if _, err := d.Token(); err == io.EOF {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}
