package file

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"

	"github.com/minio/minio-go/v7"
)

// Trouble says why a bucket is of no use.
type Trouble struct {
	Kind   TroubleKind
	Region string // where the bucket is, if the service says so
	Err    error
}

// TroubleKind is what has to be mended.
type TroubleKind int

// What can be wrong with a bucket.
const (
	Unknown     TroubleKind = iota
	Unreachable             // nobody answers, or not over TLS
	NoBucket                // the service has none of this name
	WrongRegion
	WrongKeys // the service does not know who asks
	Forbidden // it knows, and refuses
	WrongTime // this machine's clock is off
	Different // what was read is not what was written
)

func (t *Trouble) Error() string { return t.Err.Error() }
func (t *Trouble) Unwrap() error { return t.Err }

// Probe writes, reads and removes a small object. The error is a *Trouble, or the
// context's.
func Probe(ctx context.Context, o *S3) error {
	b, err := newBucket(o)
	if err != nil {
		return &Trouble{Kind: Unreachable, Err: err}
	}
	want := []byte(rand.Text())
	key := b.prefix + "parlance-doctor-" + rand.Text()
	_, err = b.client.PutObject(ctx, b.bucket, key, bytes.NewReader(want), int64(len(want)), minio.PutObjectOptions{DisableMultipart: true})
	if err != nil {
		return diagnose("write", err)
	}
	got, rerr := b.read(ctx, key)
	err = b.client.RemoveObject(ctx, b.bucket, key, minio.RemoveObjectOptions{})
	switch {
	case rerr != nil:
		return diagnose("read", rerr)
	case !bytes.Equal(got, want):
		return &Trouble{Kind: Different, Err: fmt.Errorf("s3: read %d bytes that are not what was written", len(got))}
	case err != nil:
		return diagnose("remove", err)
	}
	return nil
}

func (b *bucket) read(ctx context.Context, key string) ([]byte, error) {
	body, _, _, err := (&minio.Core{Client: b.client}).GetObject(ctx, b.bucket, key, minio.GetObjectOptions{})
	if err != nil {
		return nil, err
	}
	got, err := io.ReadAll(io.LimitReader(body, 1<<10))
	return got, errors.Join(err, body.Close())
}

func diagnose(what string, err error) error {
	r, said := errors.AsType[minio.ErrorResponse](err)
	t := &Trouble{Region: r.Region, Err: fmt.Errorf("s3: %s: %w", what, err)}
	switch r.Code {
	case "NoSuchBucket":
		t.Kind = NoBucket
	case "AuthorizationHeaderMalformed", "PermanentRedirect", "InvalidRegion":
		t.Kind = WrongRegion
	case "InvalidAccessKeyId", "SignatureDoesNotMatch":
		t.Kind = WrongKeys
	case "AccessDenied":
		t.Kind = Forbidden
	case "RequestTimeTooSkewed":
		t.Kind = WrongTime
	default:
		if !said {
			t.Kind = Unreachable
		}
	}
	return t
}
