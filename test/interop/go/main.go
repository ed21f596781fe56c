// `pages serve NAME HOST PORT` serves the pages of the interop tests with net/http; `pages call NAME ORIGIN` makes their
// calls, and prints what it got, one line per call. Both speak HTTP/2 without TLS.
package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
)

var calls = []string{
	"GET /plain", "HEAD /plain", "GET /large", "GET /stream", "GET /empty", "GET /not-modified",
	"GET /few-cookies", "GET /redirect", "GET /broken", "GET /missing", "POST /echo", "GET /plain",
}

func main() {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	if os.Args[1] == "serve" {
		protocols.SetHTTP1(true)
		server := &http.Server{Addr: os.Args[3] + ":" + os.Args[4], Handler: http.HandlerFunc(serve), Protocols: protocols}
		log.Fatal(server.ListenAndServe())
	}
	transport := &http.Transport{Protocols: protocols}
	for _, call := range calls {
		if err := ask(transport, os.Args[3], call); err != nil {
			log.Fatal(call, ": ", err)
		}
	}
}

func serve(w http.ResponseWriter, r *http.Request) {
	fields := w.Header()
	fields.Set("Content-Type", "text/plain")
	fields.Set("X-Page", "plain")
	status, body := http.StatusOK, ""
	switch r.URL.Path {
	case "/plain":
		body = "hello"
	case "/large":
		body = strings.Repeat("maesh interop ", 22_000)
	case "/stream":
		for i := range 5 {
			io.WriteString(w, strings.Repeat(fmt.Sprintf("part %d\n", i), 50))
			w.(http.Flusher).Flush()
		}
		return
	case "/empty":
		fields.Del("Content-Type")
		w.WriteHeader(http.StatusNoContent)
		return
	case "/not-modified":
		fields.Del("Content-Type")
		fields.Set("ETag", `"1"`)
		w.WriteHeader(http.StatusNotModified)
		return
	case "/cookies", "/few-cookies":
		for i := range 90 {
			fields.Add("Set-Cookie", fmt.Sprintf("c%d=v", i))
		}
		body = "cookies"
	case "/redirect":
		fields.Set("Location", "/plain")
		status, body = http.StatusFound, "over there"
	case "/broken":
		status, body = http.StatusInternalServerError, "broken"
	case "/echo":
		io.Copy(w, r.Body)
		return
	case "/refuse":
		// Not read on purpose.
		status, body = http.StatusRequestEntityTooLarge, "too large"
	default:
		status, body = http.StatusNotFound, "nothing here"
	}
	w.WriteHeader(status)
	io.WriteString(w, body)
}

func ask(transport *http.Transport, origin, call string) error {
	method, path, _ := strings.Cut(call, " ")
	var body io.Reader
	if method == "POST" {
		body = bytes.NewReader(bytes.Repeat([]byte("maesh"), 40_960))
	}
	request, err := http.NewRequest(method, origin+path, body)
	if err != nil {
		return err
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.ProtoMajor != 2 {
		return fmt.Errorf("not HTTP/2: %s", response.Proto)
	}
	fmt.Println(call, response.StatusCode, response.Header["X-Page"], response.Header["Location"], len(response.Header["Set-Cookie"]),
		response.ContentLength, len(got), fmt.Sprintf("%x", sha256.Sum256(got)))
	return nil
}
