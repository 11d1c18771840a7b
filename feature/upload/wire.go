package upload

import (
	"strconv"

	"github.com/parlance-im/parlance/xmpp/form"
)

// Namespaces of XEP-0363.
const (
	space        = "urn:xmpp:http:upload:0"
	spacePurpose = "urn:xmpp:http:upload:purpose:0"
)

// Form is the size limit for the server's disco#info (XEP-0363 §3).
func Form(maxSize int64) *form.Form {
	return form.New("result", space).Add("text-single", "max-file-size", "", strconv.FormatInt(maxSize, 10))
}
