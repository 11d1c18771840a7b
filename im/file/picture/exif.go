package picture

import "encoding/binary"

// exifHead begins a JPEG's Exif segment; a PNG's and a WebP's chunk hold what
// comes after it (some WebP have it as well).
const exifHead = "Exif\x00\x00"

// orientation finds the tag 0x0112 in the first directory of TIFF data; 0 if it
// is not there or says nothing.
func orientation(tiff []byte) int {
	if len(tiff) < 8 {
		return 0
	}
	var order binary.ByteOrder
	switch string(tiff[:4]) {
	case "II*\x00":
		order = binary.LittleEndian
	case "MM\x00*":
		order = binary.BigEndian
	default:
		return 0
	}
	at := uint64(order.Uint32(tiff[4:]))
	if at+2 > uint64(len(tiff)) {
		return 0
	}
	entries := uint64(order.Uint16(tiff[at:]))
	for i := range entries {
		e := at + 2 + 12*i
		if e+12 > uint64(len(tiff)) {
			return 0
		}
		entry := tiff[e : e+12]
		if order.Uint16(entry) != 0x0112 {
			continue
		}
		if order.Uint16(entry[2:]) != 3 || order.Uint32(entry[4:]) != 1 {
			return 0
		}
		if v := int(order.Uint16(entry[8:])); v >= 1 && v <= 8 {
			return v
		}
		return 0
	}
	return 0
}

// oriented is TIFF data that holds an orientation and nothing else.
func oriented(v int) []byte {
	return []byte{'M', 'M', 0, '*', 0, 0, 0, 8, // big endian, directory at 8
		0, 1, // one entry:
		0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, byte(v), 0, 0, // orientation, SHORT, one
		0, 0, 0, 0} // no directory more
}
