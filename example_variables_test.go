package creatify_test

import (
	"encoding/json"
	"fmt"
	"log"
	"maps"
	"net/url"
	"slices"

	"github.com/creatify-community/creatify-go"
)

// Each constructor makes a variable of one type. What this version of the library does not know is sent as JSON.
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

type Order struct {
	Headline string   `creatify:"headline,text"`
	Photo    *url.URL `creatify:"photo,image"`
	Price    float64  `creatify:"price,text"`
	Note     string   `creatify:"note,text,omitempty"`
	Voice
	Customer string // without a tag: not a variable
}

type Voice struct {
	ID string `creatify:"voice,voiceover,omitempty"`
}

// The tags of a struct say which fields are variables, and of which type.
func ExampleVariablesFrom() {
	photo, err := url.Parse("https://example.com/photo.jpg")
	if err != nil {
		log.Fatal(err)
	}
	variables, err := creatify.VariablesFrom(Order{Headline: "Spring sale", Photo: photo, Price: 9.5})
	if err != nil {
		log.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		fmt.Println(name, variables[name].Type(), variables[name].Value())
	}
	// Output:
	// headline text Spring sale
	// photo image https://example.com/photo.jpg
	// price text 9.5
}

// Problems are told by the path of the field.
func ExampleVariablesFrom_refused() {
	_, err := creatify.VariablesFrom(Order{Photo: &url.URL{Path: "photo.jpg"}})
	fmt.Println(err)
	// Output:
	// creatify: invalid parameters: VariablesFrom: Order.Photo: must be an absolute http or https URL
}

// The same tags say where the variables of a job go. A field that is none stays as it is.
func ExampleVariables_Into() {
	var job creatify.Job
	err := json.Unmarshal([]byte(`{"id": "7", "status": "done", "variables": {
		"headline": {"type": "text", "properties": {"content": "Spring sale"}},
		"photo":    {"type": "image", "properties": {"url": "https://cdn.example.com/1.jpg"}},
		"price":    {"type": "text", "properties": {"content": "9.5"}}}}`), &job)
	if err != nil {
		log.Fatal(err)
	}
	order := Order{Customer: "the same as before"}
	if err := job.Variables.Into(&order); err != nil {
		log.Fatal(err)
	}
	fmt.Println(order.Headline, order.Photo, order.Price, order.Customer)
	// Output:
	// Spring sale https://cdn.example.com/1.jpg 9.5 the same as before
}
