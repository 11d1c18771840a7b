package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// S3 says in which bucket contents are kept.
type S3 struct {
	Endpoint  string // host or host:port
	Bucket    string
	Region    string // "" where the service does not ask
	Prefix    string // before every key
	AccessKey string
	SecretKey string
	Plain     bool              // without TLS
	Transport http.RoundTripper // nil: the library's own
}

// bucket keeps contents in S3.
type bucket struct {
	client         *minio.Client
	bucket, prefix string
}

func newBucket(o *S3) (*bucket, error) {
	c, err := minio.New(o.Endpoint, &minio.Options{
		Creds: credentials.NewStaticV4(o.AccessKey, o.SecretKey, ""), Secure: !o.Plain, Region: o.Region,
		Transport: o.Transport, BucketLookup: minio.BucketLookupAuto, MaxRetries: 3,
	})
	if err != nil {
		return nil, fmt.Errorf("s3: %w", err)
	}
	return &bucket{c, o.Bucket, o.Prefix}, nil
}

// Put sends the content in one request, so that there is never a part of one
// waiting for the rest; an object is seen when it is whole.
func (b *bucket) Put(ctx context.Context, hash string, sp *spooled) error {
	if _, err := sp.f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	_, err := b.client.PutObject(ctx, b.bucket, b.prefix+hash, sp.f, sp.size,
		minio.PutObjectOptions{DisableMultipart: true, ContentType: "application/octet-stream"})
	if err != nil {
		return fmt.Errorf("s3: put: %w", err)
	}
	return nil
}

// Open asks for the object's head, so that a content that is not there is an
// error before the answer has begun.
func (b *bucket) Open(ctx context.Context, hash string, size int64) (io.ReadSeekCloser, error) {
	st, err := b.client.StatObject(ctx, b.bucket, b.prefix+hash, minio.StatObjectOptions{})
	if err != nil {
		return nil, fmt.Errorf("s3: stat: %w", err)
	}
	if st.Size != size {
		return nil, fmt.Errorf("s3: object has %d bytes, not %d", st.Size, size)
	}
	return &object{ctx: ctx, b: b, key: b.prefix + hash, size: size}, nil
}

func (b *bucket) Remove(ctx context.Context, hash string) error {
	// Removing what is not there is no error in S3.
	if err := b.client.RemoveObject(ctx, b.bucket, b.prefix+hash, minio.RemoveObjectOptions{}); err != nil {
		return fmt.Errorf("s3: remove: %w", err)
	}
	return nil
}

// object reads an object from where it was sought to, one request per run.
type object struct {
	ctx  context.Context
	b    *bucket
	key  string
	size int64
	at   int64
	body io.ReadCloser // from at on; nil: not asked for yet
}

func (o *object) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += o.at
	case io.SeekEnd:
		offset += o.size
	}
	if offset < 0 {
		return 0, errors.New("s3: seek before the beginning")
	}
	if offset != o.at {
		if err := o.Close(); err != nil {
			return 0, err
		}
		o.at = offset
	}
	return offset, nil
}

func (o *object) Read(p []byte) (int, error) {
	if o.at >= o.size {
		return 0, io.EOF
	}
	if o.body == nil {
		var opt minio.GetObjectOptions
		if o.at > 0 {
			if err := opt.SetRange(o.at, o.size-1); err != nil {
				return 0, err
			}
		}
		body, _, _, err := (&minio.Core{Client: o.b.client}).GetObject(o.ctx, o.b.bucket, o.key, opt)
		if err != nil {
			return 0, fmt.Errorf("s3: get: %w", err)
		}
		o.body = body
	}
	n, err := o.body.Read(p)
	o.at += int64(n)
	if err == io.EOF && o.at < o.size {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (o *object) Close() error {
	if o.body == nil {
		return nil
	}
	err := o.body.Close()
	o.body = nil
	return err
}
