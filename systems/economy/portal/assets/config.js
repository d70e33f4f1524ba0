// Where the services are: the configuration that the server wrote into the page.

// root is the address of the portal, with a slash at its end.
export const root = new URL("../../", import.meta.url);

const given = JSON.parse(document.querySelector('meta[name="portal"]').content);

const at = (address) => new URL(address, root).href;

export const config = {
  catalog: at(given.catalog),
  inventory: at(given.inventory),
  identity: at(given.identity),
  trading: at(given.trading),
  hub: at(given.hub),
  issuer: at(given.issuer),
  client: given.client,
  scope: given.scopes.join(" "),
};

// elsewhere is where the portal has to be opened for the issuer to take it, if that is not here, else "".
export const elsewhere = given.addresses.length > 0 && !given.addresses.includes(root.href) ? given.addresses[0] : "";

// link is the address of a page of the portal, such as "store".
export const link = (page) => new URL(page || ".", root).href;

// here is the page that is open, without the slash at its end.
export const here = () => location.pathname.slice(root.pathname.length).replace(/\/$/, "");
