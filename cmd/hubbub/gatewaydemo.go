package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/hubbub-go/hubbub"
	"github.com/hubbub-go/hubbub/signalr"
	"github.com/hubbub-go/hubbub/systems/gateway"
)

// gatewayDemo is what the gateway has to show without any other server: a chat hub, which it reaches over the network as it reaches
// every hub, and two addresses of this server.
type gatewayDemo struct {
	path   string
	hub    *hubbub.Hub
	url    string       // of this server
	client *http.Client // for it, nil for a usual one
}

// newGatewayDemo maps the chat hub. It returns nil if there is to be none.
func newGatewayDemo(at *site) (*gatewayDemo, error) {
	if !at.config.Gateway.Demo || !at.development {
		return nil, nil
	}
	options := at.hubOptions(at.log)
	d := &gatewayDemo{path: "/ChatHub", url: at.url, hub: hubbub.NewHub("ChatHub", &options)}
	type request struct{ Name, Message string }
	d.hub.Handle("SendMessage", hubbub.Action1(func(ctx context.Context, r request) error {
		return d.hub.All().Send(ctx, "ReceiveMessage", r.Name, r.Message)
	}))
	signalr.MapHub(at.mux, d.path, d.hub, at.endpointOptions())
	var err error
	if at.config.TLS.CertFile != "" {
		d.client, err = ownClient(at.config.TLS.CertFile)
	}
	return d, err
}

// ownClient trusts the server that has the certificate of a file, whatever name it is reached by.
func ownClient(certFile string) (*http.Client, error) {
	text, err := os.ReadFile(certFile)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	trusted := x509.NewCertPool()
	if !trusted.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("certificate: %s holds none", certFile)
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true, // the name alone is not looked at
		VerifyConnection: func(s tls.ConnectionState) error {
			o := x509.VerifyOptions{Roots: trusted, Intermediates: x509.NewCertPool()}
			for _, c := range s.PeerCertificates[1:] {
				o.Intermediates.AddCert(c)
			}
			_, err := s.PeerCertificates[0].Verify(o)
			return err
		}}
	return &http.Client{Transport: t}, nil
}

// add adds the routes, where their keys are free. d may be nil.
func (d *gatewayDemo) add(r *gateway.Routes) {
	if d == nil {
		return
	}
	if !r.HasHub("chatservice") {
		h := gateway.Hub{URL: d.url + d.path, Dialect: gateway.Core}
		h.CoreOptions.HTTPClient = d.client
		r.AddHub("chatservice", h).AddRoute("room", gateway.HubRoute{InvokeMethod: "SendMessage", ReceiveMethod: "ReceiveMessage",
			ReceiveParameterTypes: []string{"string", "string"}, Summary: "Say something to all",
			ArgumentSchemas: []json.RawMessage{json.RawMessage(chatRequest)}})
	}
	if !r.HasAPI("server") {
		a := gateway.API{BaseURLs: []string{d.url}}
		if d.client != nil {
			a.Transport = d.client.Transport
		}
		r.AddAPI("server", a).
			AddRoute("health", gateway.Route{Path: "health/ready", Summary: "Whether this server is ready"}).
			AddRoute("status", gateway.Route{Path: "status", Cache: demoCache, Summary: "What this server runs, a second old at most"})
	}
}

// demoCache shows that answers can be kept.
const demoCache = time.Second

// chatRequest is the schema of what SendMessage takes.
const chatRequest = `{"type":"object","properties":{"name":{"type":"string"},"message":{"type":"string"}},"required":["name","message"],"example":{"name":"John","message":"Hello!"}}`
