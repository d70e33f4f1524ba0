// Shows the document that lies beside this script, wherever a proxy has put both, and sends trials to the server it came from. A
// server that shows it to some people only is asked again with the token that a person enters, which this page forgets when it ends.
"use strict";
{
	const address = new URL("v1/swagger.json", document.currentScript.src);
	const page = document.getElementById("page");

	const note = (text, ...more) => {
		const p = document.createElement("p");
		p.className = "note";
		p.textContent = text;
		page.replaceChildren(p, ...more);
	};

	// ask shows a field for a token.
	const ask = (text) => {
		const form = document.createElement("form");
		form.className = "note";
		const label = document.createElement("label");
		label.textContent = "Token ";
		const field = document.createElement("input");
		field.type = "password";
		field.autocomplete = "off";
		field.required = true;
		const button = document.createElement("button");
		button.textContent = "Show";
		label.append(field);
		form.append(label, button);
		form.addEventListener("submit", (event) => {
			event.preventDefault();
			load(field.value.trim());
		});
		note(text, form);
		field.focus();
	};

	// show draws the description; what demands a token is tried with that one, until a person enters another.
	const show = (description, token) => {
		document.title = description.info.title;
		for (const server of description.servers ?? []) {
			server.url = new URL(server.url, address).href.replace(/\/$/, "");
		}
		page.replaceChildren();
		const ui = SwaggerUIBundle({
			spec: description,
			domNode: page,
			deepLinking: true,
			docExpansion: "list",
			defaultModelsExpandDepth: 0,
			displayRequestDuration: true,
			validatorUrl: null,
			presets: [SwaggerUIBundle.presets.apis],
			onComplete: () => {
				for (const [name, scheme] of Object.entries(description.components?.securitySchemes ?? {})) {
					if (token && scheme.type === "http" && scheme.scheme === "bearer") {
						ui.preauthorizeApiKey(name, token);
					}
				}
			},
		});
	};

	const load = async (token) => {
		try {
			const headers = { Accept: "application/json" };
			if (token) {
				headers.Authorization = `Bearer ${token}`;
			}
			const response = await fetch(address, { headers });
			if (response.status === 401 || response.status === 403) {
				ask(token ? `The token does not open the description: status ${response.status}.` : "The description of the gateway is for some people only.");
				return;
			}
			if (!response.ok) {
				throw new Error(`the server answered with status ${response.status}`);
			}
			show(await response.json(), token);
		} catch (error) {
			note(`The description of the gateway cannot be shown: ${error.message}.`);
		}
	};

	load("");
}
