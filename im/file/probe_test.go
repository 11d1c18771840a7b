package file

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestProbe_writesReadsRemoves(t *testing.T) {
	p := &pail{objects: map[string]string{}}
	srv := httptest.NewServer(p)
	defer srv.Close()
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	o := &S3{Endpoint: strings.TrimPrefix(srv.URL, "http://"), Bucket: "pail", Region: "us-east-1", Prefix: "p/", AccessKey: "a", SecretKey: "s", Plain: true, Transport: tr}
	if err := Probe(t.Context(), o); err != nil || len(p.objects) != 0 {
		t.Errorf("%v, left %v", err, p.objects)
	}
	if got := strings.Join(p.asked, " "); got != "PUT GET DELETE" {
		t.Errorf("asked %s", got)
	}
}

// What the service says becomes what has to be mended.
func TestProbe_troubles(t *testing.T) {
	for code, want := range map[string]TroubleKind{"NoSuchBucket": NoBucket, "AuthorizationHeaderMalformed": WrongRegion, "InvalidAccessKeyId": WrongKeys,
		"SignatureDoesNotMatch": WrongKeys, "AccessDenied": Forbidden, "RequestTimeTooSkewed": WrongTime, "MalformedXML": Unknown} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/xml")
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprintf(w, "<Error><Code>%s</Code><Message>m</Message><Region>eu-west-1</Region></Error>", code)
		}))
		tr := &http.Transport{}
		o := &S3{Endpoint: strings.TrimPrefix(srv.URL, "http://"), Bucket: "pail", Region: "us-east-1", AccessKey: "a", SecretKey: "s", Plain: true, Transport: tr}
		err := Probe(t.Context(), o)
		got, ok := errors.AsType[*Trouble](err)
		if !ok || got.Kind != want || got.Region != "eu-west-1" && want == WrongRegion {
			t.Errorf("%s: %+v", code, err)
		}
		tr.CloseIdleConnections()
		srv.Close()
		if code == "NoSuchBucket" {
			if got, ok := errors.AsType[*Trouble](Probe(t.Context(), o)); !ok || got.Kind != Unreachable {
				t.Errorf("closed: %+v", got)
			}
			tr.CloseIdleConnections()
		}
	}
}
