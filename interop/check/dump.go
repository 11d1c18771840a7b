package check

import (
	"bufio"
	"bytes"
	_ "embed"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

//go:embed dump.py
var dumpScript string

// Dump reads the archive of a stopped or killed server from its data
// directory. The files are copied first: recovering them after a crash is the
// server's business, not the reader's.
func Dump(dataDir string) ([]Record, error) {
	main, err := databaseFile(dataDir)
	if err != nil {
		return nil, err
	}
	tmp, err := os.MkdirTemp("", "check-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	for _, suffix := range []string{"", "-wal"} {
		b, err := os.ReadFile(main + suffix)
		if os.IsNotExist(err) && suffix != "" {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("check: dump: %w", err)
		}
		if err := os.WriteFile(filepath.Join(tmp, "copy.db"+suffix), b, 0o600); err != nil {
			return nil, fmt.Errorf("check: dump: %w", err)
		}
	}
	cmd := exec.Command("/usr/bin/python3", "-c", dumpScript, filepath.Join(tmp, "copy.db"))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("check: dump: %w: %s", err, stderr.String())
	}
	return readDump(out)
}

const postgresDump = `SELECT json_build_object('pos', r.pos, 'conv', c.key, 'conv_seq', r.conv_seq, 'sender', r.sender,
	'recipient', r.recipient, 'stanza', convert_from(r.stanza, 'UTF8'))
	FROM record r JOIN conversation c ON c.id = r.conv ORDER BY r.pos`

// DumpPostgres reads the archive from a PostgreSQL database; query runs one
// statement and gives its rows, one a line.
func DumpPostgres(query func(q string) (string, error)) ([]Record, error) {
	out, err := query(postgresDump)
	if err != nil {
		return nil, fmt.Errorf("check: dump: %w", err)
	}
	return readDump([]byte(out))
}

// databaseFile finds the one SQLite database below the data directory.
func databaseFile(dir string) (string, error) {
	var found []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return nil // sockets and the like
		}
		defer func() { _ = f.Close() }()
		head := make([]byte, 15)
		if n, _ := f.Read(head); n == 15 && string(head) == "SQLite format 3" {
			found = append(found, path)
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	if len(found) != 1 {
		return "", fmt.Errorf("check: dump: %d databases below %s: %q", len(found), dir, found)
	}
	return found[0], nil
}

func readDump(out []byte) ([]Record, error) {
	var all []Record
	sc := bufio.NewScanner(bytes.NewReader(out))
	sc.Buffer(nil, 16<<20)
	for sc.Scan() {
		var row struct {
			Pos       int64  `json:"pos"`
			Conv      string `json:"conv"`
			ConvSeq   int64  `json:"conv_seq"`
			Sender    string `json:"sender"`
			Recipient string `json:"recipient"`
			Stanza    string `json:"stanza"`
		}
		if err := json.Unmarshal(sc.Bytes(), &row); err != nil {
			return nil, fmt.Errorf("check: dump: %w", err)
		}
		r := Record{Pos: row.Pos, ConvSeq: row.ConvSeq, Conv: row.Conv, From: bare(row.Sender), To: bare(row.Recipient)}
		if err := readStanza(row.Stanza, &r); err != nil {
			return nil, fmt.Errorf("check: dump: position %d: %w: %s", row.Pos, err, row.Stanza)
		}
		all = append(all, r)
	}
	return all, sc.Err()
}

// readStanza takes id and body out of a stored stanza.
func readStanza(s string, r *Record) error {
	var m struct {
		ID     string `xml:"id,attr"`
		Body   string `xml:"body"`
		Origin struct {
			ID string `xml:"id,attr"`
		} `xml:"urn:xmpp:sid:0 origin-id"`
	}
	if err := xml.Unmarshal([]byte(s), &m); err != nil {
		return err
	}
	id := m.Origin.ID
	if id == "" {
		id = m.ID
	}
	r.ID, r.Body = ID(id, m.Body), Hash(m.Body)
	return nil
}

func bare(j string) string { b, _, _ := strings.Cut(j, "/"); return b }
