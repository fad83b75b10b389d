package creatifytest_test

import (
	"context"
	"fmt"
	"log"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
)

// The personas and voices of an account.
func ExampleConfig_catalog() {
	ctx := context.Background()
	api := creatifytest.New(creatifytest.Config{
		Personas: []creatifytest.Persona{{ID: creatifytest.PersonaID, CreatorName: "Robin"}},
		Voices:   []creatifytest.Voice{{Name: "Robin", Accents: []creatifytest.Accent{{ID: creatifytest.AccentID, Name: "American"}}}},
	})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(api.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	personas, err := client.Personas.List(ctx)
	if err != nil {
		log.Fatal(err)
	}
	voices, err := client.Voices.List(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(personas[0].CreatorName, "speaks", voices[0].Accents[0].Name)
	// Output:
	// Robin speaks American
}
