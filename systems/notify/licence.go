package notify

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hubbub-go/hubbub"
)

// maxDeviceCount is the feature that bounds the devices with a live session.
const maxDeviceCount = "MaxDeviceCount"

// License is the licence of the installation as clients see it.
type License struct {
	ShopID               int64            `json:"shopId"`
	ActivationTime       Time             `json:"activationTime"`
	ExpirationTime       Time             `json:"expirationTime"`
	VerificationTime     Time             `json:"verificationTime"`
	VerificationInterval string           `json:"verificationInterval"`
	Features             []LicenseFeature `json:"features"`
	RemainingDays        int64            `json:"remainingDays"`
	IsExpired            bool             `json:"isExpired"`
}

// LicenseFeature is one thing that a licence grants.
type LicenseFeature struct {
	ProductSKU     string `json:"productSku"`
	RawValue       string `json:"rawValue"`
	Name           string `json:"name"`
	ActivationTime Time   `json:"activationTime"`
	ExpirationTime Time   `json:"expirationTime"`
}

// Terms are what a licence is issued for.
type Terms struct {
	// ShopID of the licence; 0 takes that of the request code.
	ShopID int64
	// Lifetime from the issue on. Default 30 days.
	Lifetime time.Duration
	// MaxDevices with a live session. Default 0: the licence does not bound them.
	MaxDevices int
	// Features beside MaxDeviceCount, as name and value.
	Features map[string]string
}

// Purposes of the codes, and the marks that they begin with.
const (
	licencePurpose = "hubbub/notify: licence"
	requestMark    = "HR1."
	activationMark = "HA1."
	maxCode        = 8192
)

var codeText = base64.RawURLEncoding

// licenceRequest is what a request code says.
type licenceRequest struct {
	Installation string `json:"i"`
	Shop         int64  `json:"s"`
}

// grant is what an activation code says; it is stored as the licence.
type grant struct {
	ID           string           `json:"id"`
	Installation string           `json:"i"`
	Shop         int64            `json:"s"`
	Issued       Time             `json:"t"`
	Expires      Time             `json:"x"`
	Features     []LicenseFeature `json:"f"`
	Activated    Time             `json:"a"`
}

func requestCode(r licenceRequest) string {
	b, _ := json.Marshal(r) // a text and a number
	return requestMark + codeText.EncodeToString(b)
}

func parseRequestCode(code string) (licenceRequest, error) {
	var r licenceRequest
	text, ok := strings.CutPrefix(strings.TrimSpace(code), requestMark)
	if !ok || len(code) > maxCode {
		return r, fmt.Errorf("request code %q: want one that begins with %s", clip(code), requestMark)
	}
	b, err := codeText.DecodeString(text)
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	if err != nil || r.Installation == "" {
		return r, fmt.Errorf("request code %q cannot be read", clip(code))
	}
	return r, nil
}

// IssueLicence returns the activation code that answers a request code: the terms, signed by keys. It is good for the
// installation that made the request code, and only where the same ring of keys is in use; whoever has the keys can issue
// licences.
func IssueLicence(keys *hubbub.KeyRing, requestCode string, terms Terms) (activationCode string, err error) {
	r, err := parseRequestCode(requestCode)
	if err != nil {
		return "", fmt.Errorf("notify: issue licence: %w", err)
	}
	b, err := json.Marshal(terms.grant(r, time.Now()))
	if err != nil {
		return "", fmt.Errorf("notify: issue licence: %w", err)
	}
	id, mac := keys.Sign(licencePurpose, b)
	return activationMark + codeText.EncodeToString(b) + "." + strconv.FormatUint(uint64(id), 10) + "." + codeText.EncodeToString(mac), nil
}

func (t Terms) grant(r licenceRequest, now time.Time) *grant {
	positive(&t.Lifetime, 30*24*time.Hour)
	if t.ShopID == 0 {
		t.ShopID = r.Shop
	}
	now = now.UTC().Truncate(time.Millisecond)
	g := &grant{ID: newID(), Installation: r.Installation, Shop: t.ShopID, Issued: Time{now}, Expires: Time{now.Add(t.Lifetime)}}
	add := func(name, value string) {
		g.Features = append(g.Features, LicenseFeature{ProductSKU: "HUBBUB-" + strings.ToUpper(name), RawValue: value, Name: name,
			ActivationTime: g.Issued, ExpirationTime: g.Expires})
	}
	if t.MaxDevices > 0 {
		add(maxDeviceCount, strconv.Itoa(t.MaxDevices))
	}
	for _, name := range slices.Sorted(maps.Keys(t.Features)) {
		add(name, t.Features[name])
	}
	return g
}

// parseActivationCode returns what a code grants, if the ring has signed it for the installation.
func parseActivationCode(keys *hubbub.KeyRing, code, installation string) (*grant, *badValue) {
	const at = "activationCode"
	if code == "" {
		return nil, required(at)
	}
	text, ok := strings.CutPrefix(strings.TrimSpace(code), activationMark)
	parts := strings.Split(text, ".")
	if !ok || len(parts) != 3 || len(code) > maxCode {
		return nil, bad(at, "activation code %q: want one that begins with %s", clip(code), activationMark)
	}
	b, err := codeText.DecodeString(parts[0])
	id, err2 := strconv.ParseUint(parts[1], 10, 32)
	mac, err3 := codeText.DecodeString(parts[2])
	if err != nil || err2 != nil || err3 != nil || !keys.Verify(uint32(id), licencePurpose, b, mac) {
		return nil, bad(at, "activation code %q is not signed by this server's keys", clip(code))
	}
	g := new(grant)
	if err := json.Unmarshal(b, g); err != nil {
		return nil, bad(at, "activation code %q cannot be read", clip(code))
	}
	if g.Installation != installation {
		return nil, bad(at, "activation code %q is for another installation", clip(code))
	}
	return g, nil
}

// license returns the licence as of now.
func (g *grant) license(now time.Time) *License {
	left := g.Expires.Sub(now)
	features := g.Features
	if features == nil {
		features = []LicenseFeature{}
	}
	return &License{
		ShopID: g.Shop, ActivationTime: g.Activated, ExpirationTime: g.Expires, VerificationTime: Time{now},
		VerificationInterval: "1.00:00:00", Features: features,
		RemainingDays: max(0, int64(math.Ceil(left.Hours()/24))), IsExpired: left <= 0,
	}
}

// maxDevices returns how many devices the licence allows, 0 for any number.
func (g *grant) maxDevices(now time.Time) int {
	if g == nil {
		return 0
	}
	for _, f := range g.Features {
		if f.Name == maxDeviceCount && now.Before(f.ExpirationTime.Time) {
			n, _ := strconv.Atoi(f.RawValue)
			return n
		}
	}
	return 0
}
