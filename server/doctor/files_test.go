package doctor

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/parlance-im/parlance/im/file"
)

const s3Config = "[files]\nstore = 's3'\n[files.s3]\nendpoint = 's3.example.com'\nbucket = 'acme'\naccess_key = 'who'\nsecret_key = 'hushhush'\n"

func TestFiles_bucket(t *testing.T) {
	for _, c := range []struct {
		err   error
		state State
		says  []string
	}{
		{nil, Good, []string{"acme at s3.example.com"}},
		{&file.Trouble{Kind: file.Unreachable, Err: errors.New("refused")}, Bad, []string{"refused", "files.s3.endpoint"}},
		{&file.Trouble{Kind: file.NoBucket, Err: errors.New("none")}, Bad, []string{"make the bucket"}},
		{&file.Trouble{Kind: file.WrongRegion, Region: "eu-west-1", Err: errors.New("no")}, Bad, []string{`files.s3.region to "eu-west-1"`}},
		{&file.Trouble{Kind: file.WrongKeys, Err: errors.New("no")}, Bad, []string{"files.s3.secret_key"}},
		{&file.Trouble{Kind: file.Forbidden, Err: errors.New("no")}, Bad, []string{"s3:PutObject"}},
		{&file.Trouble{Kind: file.WrongTime, Err: errors.New("no")}, Bad, []string{"clock"}},
		{context.DeadlineExceeded, Bad, []string{"does not answer in time"}},
	} {
		w := well()
		w.Probe = func(_ context.Context, o *file.S3) error {
			if o.Bucket != "acme" || o.Endpoint != "s3.example.com" || o.SecretKey != "hushhush" || o.Plain {
				t.Errorf("asked about %+v", o)
			}
			return c.err
		}
		got := Examine(t.Context(), w, newPlace(t, s3Config).file)
		if !has(got, "files", c.state, c.says...) || has(got, "files", c.state, "hushhush") {
			t.Errorf("%v:\n%s", c.err, table(got))
		}
	}
}

func TestFiles_folder(t *testing.T) {
	p := newPlace(t, "")
	if got := Examine(t.Context(), well(), p.file); !has(got, "files", Good, "is not there yet") {
		t.Errorf("none:\n%s", table(got))
	}
	dir := filepath.Join(p.dir, "data", "files")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if got := Examine(t.Context(), well(), p.file); !has(got, "files", Good, "can be written to") {
		t.Errorf("there:\n%s", table(got))
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	write(t, dir, []byte("a file")) // root may write to any folder, but not to this
	if got := Examine(t.Context(), well(), p.file); !has(got, "files", Bad, "can't write to") {
		t.Errorf("in the way:\n%s", table(got))
	}
}
