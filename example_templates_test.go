package creatify_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"maps"
	"slices"
	"time"

	"github.com/creatify-community/creatify-go"
	"github.com/creatify-community/creatify-go/creatifytest"
)

// The account's templates, without their variables.
func ExampleTemplatesService_List() {
	fake := creatifytest.New(creatifytest.Config{})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	templates, err := client.Templates.List(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	for _, template := range templates {
		fmt.Println(template.ID, template.Name, template.AspectRatio)
	}
	// Output:
	// 3c90c3cc-0d44-4b50-8888-8dd25736052a Demo 9x16
}

// One template, with the variables that its jobs fill.
func ExampleTemplatesService_Get() {
	fake := creatifytest.New(creatifytest.Config{})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	template, err := client.Templates.Get(context.Background(), creatifytest.TemplateID)
	if err != nil {
		log.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(template.Variables)) {
		fmt.Println(name, template.Variables[name].Type())
	}
	// Output:
	// headline text
	// photo image
}

// Variables are compared with those of the template.
func ExampleTemplate_Validate() {
	fake := creatifytest.New(creatifytest.Config{})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	template, err := client.Templates.Get(context.Background(), creatifytest.TemplateID)
	if err != nil {
		log.Fatal(err)
	}
	err = template.Validate(creatify.Variables{
		"headlin": creatify.Text("Spring sale"),
		"photo":   creatify.Video("https://example.com/clip.mp4"),
	})
	if invalid, ok := errors.AsType[*creatify.ValidationError](err); ok {
		for _, problem := range invalid.Problems {
			fmt.Println(problem.Field, problem.Message)
		}
	}
	// Output:
	// variables.headlin is not in the template; did you mean "headline"?
	// variables.photo is of type "video"; the template has "image"
	// variables.headline is missing; the template has it with type "text" and no default
}

// RawJSON has the fields that this version of the library does not know.
func ExampleTemplate_RawJSON() {
	fake := creatifytest.New(creatifytest.Config{})
	fake.Inject(creatifytest.Fault{Call: creatifytest.CallGetTemplate, Body: `{"name": "Demo", "category": "sales"}`})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	template, err := client.Templates.Get(context.Background(), creatifytest.TemplateID)
	if err != nil {
		log.Fatal(err)
	}
	var more struct{ Category string }
	if err := json.Unmarshal(template.RawJSON(), &more); err != nil {
		log.Fatal(err)
	}
	fmt.Println(template.Name, more.Category)
	// Output:
	// Demo sales
}

// Each create is compared with its template before anything is charged.
func ExampleWithTemplateCheck() {
	fake := creatifytest.New(creatifytest.Config{})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()),
		creatify.WithTemplateCheck(time.Hour))
	if err != nil {
		log.Fatal(err)
	}
	_, err = client.Jobs.CreatePreview(context.Background(), creatify.JobParams{
		TemplateID: creatifytest.TemplateID,
		Variables:  creatify.Variables{"headline": creatify.Text("Spring sale"), "foto": creatify.Image("https://example.com/photo.jpg")},
	})
	if invalid, ok := errors.AsType[*creatify.ValidationError](err); ok {
		for _, problem := range invalid.Problems {
			fmt.Println(problem.Field, problem.Message)
		}
	}
	fmt.Println("credits charged:", fake.Charged())
	// Output:
	// variables.foto is not in the template; did you mean "photo"?
	// variables.photo is missing; the template has it with type "image" and no default
	// credits charged: 0
}

// Each constructor makes a variable of one type. Raw JSON is for what this version of the library does not know.
func ExampleVariables() {
	variables := creatify.Variables{
		"headline": creatify.Text("Spring sale"),
		"photo":    creatify.Image("https://example.com/photo.jpg"),
		"clip":     creatify.Video("https://example.com/clip.mp4"),
		"music":    creatify.Audio("https://example.com/music.mp3"),
		"host":     creatify.Avatar("3c90c3cc-0d44-4b50-8888-8dd25736052a"),
		"voice":    creatify.Voiceover(""),
		"new":      creatify.RawVariable(json.RawMessage(`{"type": "sticker", "properties": {"size": 3}}`)),
	}
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		sent, err := json.Marshal(variables[name])
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s: %s\n", name, sent)
	}
	// Output:
	// clip: {"type":"video","properties":{"url":"https://example.com/clip.mp4"}}
	// headline: {"type":"text","properties":{"content":"Spring sale"}}
	// host: {"type":"avatar","properties":{"avatar_id":"3c90c3cc-0d44-4b50-8888-8dd25736052a"}}
	// music: {"type":"audio","properties":{"url":"https://example.com/music.mp3"}}
	// new: {"type":"sticker","properties":{"size":3}}
	// photo: {"type":"image","properties":{"url":"https://example.com/photo.jpg"}}
	// voice: {"type":"voiceover","properties":{}}
}

// Parameters are checked without a client, for instance before a service accepts an order.
func ExampleJobParams_Validate() {
	var params creatify.JobParams
	err := json.Unmarshal([]byte(`{"template_id": "3c90c3cc-0d44-4b50-8888-8dd25736052a",
		"variables": {"photo": {"type": "image", "properties": {"url": "http://192.168.0.7/photo.jpg"}}}}`), &params)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(params.Validate())
	// Output:
	// creatify: invalid parameters: variables.photo: must have a public host in its ASCII form; Creatify's servers cannot reach a private or local one
}

// The catalog has the IDs for an avatar and a voiceover.
func ExamplePersonasService_List() {
	fake := creatifytest.New(creatifytest.Config{})
	client, err := creatify.New(creatifytest.APIID, creatifytest.APIKey, creatify.WithHTTPClient(fake.HTTPClient()))
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	personas, err := client.Personas.List(ctx)
	if err != nil || len(personas) == 0 {
		log.Fatal("no persona: ", err)
	}
	voices, err := client.Voices.List(ctx)
	if err != nil || len(voices) == 0 || len(voices[0].Accents) == 0 {
		log.Fatal("no voice: ", err)
	}
	variables := creatify.Variables{
		"host":  creatify.Avatar(personas[0].ID),
		"voice": creatify.Voiceover(voices[0].Accents[0].ID),
	}
	fmt.Println(personas[0].CreatorName, variables["host"].Value())
	fmt.Println(voices[0].Name, voices[0].Accents[0].Name, variables["voice"].Value())
	// Output:
	// Robin 18fccce8-86e7-5f31-abc8-18915cb872be
	// Robin American 6f8c2a04-51d3-4b7e-9a1f-2c07d5e4b836
}
