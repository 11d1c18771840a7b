package account

import (
	"bufio"
	"encoding/base64"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/parlance-im/parlance/xmpp/jid"
	"github.com/parlance-im/parlance/xmpp/sasl"
)

// columns that a file may have.
func importColumns() []string {
	return []string{"user", "jid", "password", "name", "admin", "disabled", "scram_sha1", "scram_sha256", "scram_sha512"}
}

// newLineReader reads the header.
func newLineReader(r io.Reader, domain string) (*lineReader, error) {
	buf := bufio.NewReaderSize(r, 64<<10)
	if mark, err := buf.Peek(3); err == nil && string(mark) == "\ufeff" {
		if _, err := buf.Discard(3); err != nil { // spreadsheets begin with a byte order mark
			return nil, err
		}
	}
	lr := &lineReader{csv: csv.NewReader(buf), domain: domain}
	lr.csv.ReuseRecord = true
	header, err := lr.csv.Read()
	if err == io.EOF {
		return nil, errors.New("the file is empty")
	}
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	for _, c := range header {
		c = strings.ToLower(strings.TrimSpace(c))
		if !slices.Contains(importColumns(), c) {
			return nil, fmt.Errorf("header: no column %q is known; there are %s", c, strings.Join(importColumns(), ", "))
		}
		if slices.Contains(lr.columns, c) {
			return nil, fmt.Errorf("header: column %q stands twice", c)
		}
		lr.columns = append(lr.columns, c)
	}
	has := func(c string) bool { return slices.Contains(lr.columns, c) }
	if has("user") == has("jid") {
		return nil, errors.New(`header: one column "user" is needed`)
	}
	if !has("password") && !has("scram_sha1") && !has("scram_sha256") && !has("scram_sha512") {
		return nil, errors.New(`header: a column "password", "scram_sha512", "scram_sha256" or "scram_sha1" is needed`)
	}
	return lr, nil
}

// parse fills a line from its fields. The record is reused by the reader, the
// strings of its fields are not.
func (r *lineReader) parse(l *line, record []string) error {
	for i, field := range record {
		if err := r.field(l, r.columns[i], field); err != nil {
			return err
		}
	}
	if err := checkDisplayName(l.account.Name); err != nil {
		return errors.New("a name has at most 200 characters, and no control characters")
	}
	switch {
	case l.account.JID.IsZero():
		return errors.New("no user")
	case l.password == "" && l.keys == nil:
		return errors.New("neither password nor keys")
	case l.password != "" && l.keys != nil:
		return errors.New("both password and keys")
	}
	return nil
}

func (r *lineReader) field(l *line, column, v string) (err error) {
	a := &l.account
	if column == "password" { // spaces may be part of it
		l.password = v
		return nil
	}
	if v = strings.TrimSpace(v); v == "" {
		return nil
	}
	switch column {
	case "user", "jid":
		a.JID, err = r.address(v)
	case "name":
		a.Name = v
	case "admin":
		a.Admin, err = yes(v)
	case "disabled":
		a.Disabled, err = yes(v)
	case "scram_sha1":
		err = l.ready(sasl.SHA1, v)
	case "scram_sha256":
		err = l.ready(sasl.SHA256, v)
	case "scram_sha512":
		err = l.ready(sasl.SHA512, v)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", column, err)
	}
	return nil
}

// address reads "alice" or "alice@acme.test"; another domain is a mistake.
func (r *lineReader) address(v string) (jid.JID, error) {
	home, err := jid.New("", r.domain, "")
	if err != nil {
		return jid.JID{}, err
	}
	var j jid.JID
	if strings.Contains(v, "@") {
		j, err = jid.Parse(v)
	} else {
		j, err = jid.New(v, r.domain, "")
	}
	switch {
	case err != nil:
		return jid.JID{}, err
	case j.Domain() != home.Domain():
		return jid.JID{}, fmt.Errorf("the domain here is %s", home)
	}
	return j, checkName(j)
}

func yes(v string) (bool, error) {
	switch strings.ToLower(v) {
	case "1", "true", "yes", "y":
		return true, nil
	case "0", "false", "no", "n":
		return false, nil
	}
	return false, errors.New("yes or no is expected")
}

// ready reads keys made elsewhere, as `iterations:salt:stored:server`, the last
// three in base64.
func (l *line) ready(h sasl.Hash, v string) error {
	part := strings.Split(v, ":")
	if len(part) != 4 {
		return errors.New("iterations:salt:stored:server is expected")
	}
	n, err := strconv.Atoi(part[0])
	if err != nil || n < minIterations || n > maxIterations {
		return fmt.Errorf("from %d to %d iterations are possible", minIterations, maxIterations)
	}
	k := sasl.Keys{Iterations: n, Known: true}
	for i, to := range []*[]byte{&k.Salt, &k.StoredKey, &k.ServerKey} {
		if *to, err = base64.StdEncoding.DecodeString(part[i+1]); err != nil {
			return errors.New("salt and keys are base64")
		}
	}
	if len(k.Salt) == 0 || len(k.Salt) > 1024 || len(k.StoredKey) != h.Size() || len(k.ServerKey) != h.Size() {
		return fmt.Errorf("the keys of %s have %d bytes each", h, h.Size())
	}
	if l.keys == nil {
		l.keys = map[sasl.Hash]sasl.Keys{}
	}
	l.keys[h] = k
	return nil
}
