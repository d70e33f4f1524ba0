// Shows the document that lies beside this script, wherever a proxy has put both, and sends trials to the server it came from.
"use strict";
{
	const address = new URL("v1/swagger.json", document.currentScript.src);
	const page = document.getElementById("page");

	const note = (text) => {
		const p = document.createElement("p");
		p.className = "note";
		p.textContent = text;
		page.replaceChildren(p);
	};

	const show = async () => {
		const response = await fetch(address, { headers: { Accept: "application/json" } });
		if (!response.ok) {
			throw new Error(`the server answered with status ${response.status}`);
		}
		const description = await response.json();
		document.title = description.info.title;
		for (const server of description.servers ?? []) {
			server.url = new URL(server.url, address).href.replace(/\/$/, "");
		}
		page.replaceChildren();
		SwaggerUIBundle({
			spec: description,
			domNode: page,
			deepLinking: true,
			docExpansion: "list",
			defaultModelsExpandDepth: 0,
			displayRequestDuration: true,
			tryItOutEnabled: false,
			validatorUrl: null,
			presets: [SwaggerUIBundle.presets.apis],
		});
	};

	show().catch((error) => note(`The description of the gateway cannot be shown: ${error.message}.`));
}
