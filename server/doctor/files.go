package doctor

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/parlance-im/parlance/im/file"
)

// files: what people upload has to go somewhere (XEP-0363).
func (e *exam) files(ctx context.Context) {
	bucket := e.cfg.Bucket()
	switch {
	case len(e.cfg.Listen.HTTPS) == 0:
		e.add("files", Good, "", "nobody can upload: listen.https is empty")
	case bucket != nil:
		e.bucket(ctx, bucket)
	default:
		e.folder(filepath.Join(e.cfg.Data, "files"))
	}
}

func (e *exam) folder(dir string) {
	f, err := os.CreateTemp(dir, ".doctor-*")
	if errors.Is(err, os.ErrNotExist) {
		e.add("files", Good, "", "%s is not there yet: the server makes it", dir)
		return
	}
	if err == nil {
		_, err = f.WriteString("x")
		err = errors.Join(err, f.Sync(), f.Close(), os.Remove(f.Name()))
	}
	if err != nil {
		e.add("files", Bad, "give the server's user the folder: chown -R, and mode 700; if the disk is full, make room", "can't write to %s: %v", dir, err)
		return
	}
	e.add("files", Good, "", "in %s, which can be written to", dir)
}

// bucket writes, reads and removes a small object.
func (e *exam) bucket(ctx context.Context, o *file.S3) {
	ctx, cancel := context.WithTimeout(ctx, 3*e.Timeout)
	defer cancel()
	err := e.Probe(ctx, o)
	if err == nil {
		e.add("files", Good, "", "in the bucket %s at %s: written to, read from and removed from", o.Bucket, o.Endpoint)
		return
	}
	do := "what the service says is above; files.s3 in the configuration says where and as whom"
	if t, ok := errors.AsType[*file.Trouble](err); ok {
		switch t.Kind {
		case file.Unreachable:
			do = "check files.s3.endpoint, that this machine may connect to it, and its certificate; files.s3.plaintext is for loopback alone"
		case file.NoBucket:
			do = "make the bucket, or correct files.s3.bucket"
		case file.WrongRegion:
			do = "correct files.s3.region"
			if t.Region != "" {
				do = "set files.s3.region to \"" + t.Region + "\""
			}
		case file.WrongKeys:
			do = "correct files.s3.access_key and files.s3.secret_key"
		case file.Forbidden:
			do = "let this access key put, get and delete objects in the bucket (s3:PutObject, s3:GetObject, s3:DeleteObject)"
		case file.WrongTime:
			do = "set this machine's clock: the service takes no request that is minutes off"
		case file.Different:
			do = "look for what changes the content on the way: a proxy or cache in front of the service"
		}
	} else if errors.Is(err, context.DeadlineExceeded) {
		do = "the service does not answer in time: check files.s3.endpoint and the network"
	}
	e.add("files", Bad, do, "the bucket %s at %s: %v", o.Bucket, o.Endpoint, err)
}
