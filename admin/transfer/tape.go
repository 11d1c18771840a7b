package transfer

import (
	"bufio"
	"errors"
	"io"
)

// maxUnit bounds one element that is taken as a whole: a card with a picture is
// the largest of them.
const maxUnit = 8 << 20

var errLong = errors.New("one element is longer than 8 MiB")

// tape gives bytes one by one, so that who reads them is never ahead, and keeps
// those since the last cut.
type tape struct {
	r     *bufio.Reader
	kept  []byte
	start int64 // of kept, in the file
}

func newTape(r io.Reader) *tape { return &tape{r: bufio.NewReaderSize(r, 64<<10)} }

// Read meets io.Reader; encoding/xml uses ReadByte.
func (t *tape) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	b, err := t.ReadByte()
	if err != nil {
		return 0, err
	}
	p[0] = b
	return 1, nil
}

// ReadByte meets io.ByteReader.
func (t *tape) ReadByte() (byte, error) {
	b, err := t.r.ReadByte()
	if err != nil {
		return 0, err
	}
	if len(t.kept) >= maxUnit {
		return 0, errLong
	}
	t.kept = append(t.kept, b)
	return b, nil
}

// cut forgets what is before an offset of the file.
func (t *tape) cut(offset int64) {
	n := int(offset - t.start)
	t.kept = t.kept[:copy(t.kept, t.kept[n:])]
	t.start = offset
}

// upto is what was kept, up to an offset; good until the next byte is read.
func (t *tape) upto(offset int64) []byte { return t.kept[:offset-t.start] }
