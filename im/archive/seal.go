package archive

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/parlance-im/parlance/im/session"
)

// Seal commits to a record's content: SHA-256 over a version, the salt and the
// fields, each with its length in front. Who has salt and stanza can check it;
// who has not learns nothing from it, even about a short message.
func Seal(salt []byte, at int64, sender, recipient string, stanza []byte) [32]byte {
	return sha256.Sum256(appendSealed(nil, salt, at, sender, recipient, stanza))
}

// appendSealed writes what a seal is the sum of.
func appendSealed(dst, salt []byte, at int64, sender, recipient string, stanza []byte) []byte {
	dst = append(dst, "parlance-seal-1"...)
	dst = appendField(dst, salt)
	dst = binary.BigEndian.AppendUint64(dst, uint64(at))
	dst = appendField(dst, sender)
	dst = appendField(dst, recipient)
	return appendField(dst, stanza)
}

// Leaf is what the audit log holds for a record: its position, its
// conversation, its place there, and its seal. It can be made again after the
// content was erased, and a missing place in a conversation shows.
func Leaf(pos session.Pos, conversation string, convSeq int64, state int64, seal [32]byte) [32]byte {
	dst := append(make([]byte, 0, 256), "parlance-leaf-1"...)
	dst = binary.BigEndian.AppendUint64(dst, uint64(pos))
	dst = appendField(dst, conversation)
	dst = binary.BigEndian.AppendUint64(dst, uint64(convSeq))
	dst = binary.BigEndian.AppendUint64(dst, uint64(state))
	return sha256.Sum256(append(dst, seal[:]...))
}

func appendField[T string | []byte](dst []byte, field T) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(len(field)))
	return append(dst, field...)
}
